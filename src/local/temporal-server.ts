import { mkdir } from 'node:fs/promises';
import { connect } from 'node:net';
import { dirname } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Connection } from '@temporalio/client';
import { interceptors } from '../client/grpc-interceptors.ts';
import { describeError, PermanentError, TransientError } from '../errors.ts';
import { chooseFreePort } from './free-port.ts';
import { lastLines } from './log-file.ts';
import { endProcess, type ProcessIdentity } from './process-identity.ts';
import { describeEnd, type ProcessEnd, type SpawnedServer, spawnServer } from './server-process.ts';

/** The search attributes that Sluice's workflows set. */
export const searchAttributeNames = ['SluicePipeline', 'SluiceStage', 'SluiceStatus'] as const;

/** The ports of a Temporal server on 127.0.0.1. */
export interface TemporalPorts {
  /** gRPC. */
  readonly port: number;
  readonly uiPort: number;
  readonly metricsPort: number;
}

export interface TemporalServerOptions {
  /** Path of the Temporal CLI, see `findTemporalBinary`. */
  readonly binary: string;
  /** Output is appended here. */
  readonly logFile: string;
  /** History is kept in this file and survives a SIGKILL. Left out: in memory. */
  readonly dbFile?: string;
  /** @default 'default' */
  readonly namespace?: string;
  /** Ports to use, such as those of the last start; any free ones where left out. */
  readonly ports?: Partial<TemporalPorts>;
  /** How long a start may take, in milliseconds. @default 60000 */
  readonly startTimeoutMs?: number;
  /** Settings of the server, such as `limit.historyCount.suggestContinueAsNew`. */
  readonly dynamicConfig?: Readonly<Record<string, string | number | boolean>>;
  readonly env?: NodeJS.ProcessEnv;
  readonly signal?: AbortSignal;
}

/** A Temporal development server on this machine. */
export interface TemporalServer {
  readonly address: string;
  readonly namespace: string;
  readonly uiUrl: string;
  /** Prometheus metrics of the server. */
  readonly metricsUrl: string;
  readonly ports: TemporalPorts;
  readonly process: ProcessIdentity;
  /** Resolves when the process has ended, for whatever reason. */
  readonly exited: Promise<ProcessEnd>;
  /** Stops it gracefully. */
  readonly stop: () => Promise<void>;
  /** SIGKILL, for tests of what happens then. Start again with the same `dbFile` and `ports`. */
  readonly kill: () => Promise<void>;
  /** Lets this process end while the server goes on. */
  readonly unref: () => void;
}

/**
 * Starts Temporal's development server on the loopback address and waits until its namespace answers.
 *
 * @throws PermanentError `TemporalServerFailed` when it ends while starting, with the last lines of its log.
 *
 * @example
 * const { path } = await findTemporalBinary();
 * const server = await startTemporalServer({ binary: path, logFile: '.sluice/logs/temporal.log', dbFile: '.sluice/temporal.db' });
 */
export async function startTemporalServer(options: TemporalServerOptions): Promise<TemporalServer> {
  const { namespace = 'default', startTimeoutMs = 60_000 } = options;
  const ports = await choosePorts(options.ports);
  if (options.dbFile) await mkdir(dirname(options.dbFile), { recursive: true });
  const spawned = await spawnServer({
    name: 'the Temporal server',
    command: options.binary,
    args: serverArguments(options, namespace, ports),
    env: withoutTemporalVariables(options.env ?? process.env),
    logFile: options.logFile,
  });
  const address = `127.0.0.1:${ports.port}`;
  try {
    await untilNamespaceAnswers(address, namespace, startTimeoutMs, async () => {
      options.signal?.throwIfAborted();
      await throwIfEnded(spawned, options.logFile);
    });
  } catch (error) {
    await killTemporalServer(spawned.process);
    throw error;
  }
  return {
    address,
    namespace,
    uiUrl: `http://127.0.0.1:${ports.uiPort}`,
    metricsUrl: `http://127.0.0.1:${ports.metricsPort}/metrics`,
    ports,
    process: spawned.process,
    exited: spawned.exited,
    stop: () => stopTemporalServer(spawned.process),
    kill: () => killTemporalServer(spawned.process),
    unref: spawned.unref,
  };
}

/** Stops a Temporal server gracefully; after 15 s, at once. */
export async function stopTemporalServer(server: ProcessIdentity): Promise<void> {
  await endProcess(server, [
    { signal: 'SIGTERM', waitMs: 15_000 },
    { signal: 'SIGKILL', waitMs: 10_000 },
  ]);
}

async function killTemporalServer(server: ProcessIdentity): Promise<void> {
  await endProcess(server, [{ signal: 'SIGKILL', waitMs: 10_000 }]);
}

/**
 * Waits until a namespace of a local server answers.
 *
 * @param eachTime - called before every try; what it throws ends the waiting.
 * @throws TransientError `TemporalNotReady` when it does not within `timeoutMs`.
 */
export async function untilNamespaceAnswers(
  address: string,
  namespace: string,
  timeoutMs: number,
  eachTime?: () => Promise<void>,
): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    await eachTime?.();
    let reason: string;
    try {
      if (await accepts(address)) {
        await askNamespace(address, namespace, Math.max(deadline - Date.now(), 1000));
        return;
      }
      reason = 'nothing listens there';
    } catch (error) {
      reason = describeError(error);
    }
    if (Date.now() >= deadline) {
      throw new TransientError(
        'TemporalNotReady',
        `the Temporal server at ${address} does not answer for namespace "${namespace}" after ${Math.round(timeoutMs / 1000)} s: ${reason}.`,
      );
    }
    await delay(50);
  }
}

async function askNamespace(address: string, namespace: string, timeoutMs: number): Promise<void> {
  const connection = Connection.lazy({ address, interceptors });
  try {
    const deadline = Date.now() + Math.min(timeoutMs, 5000);
    await connection.withDeadline(deadline, () => connection.workflowService.describeNamespace({ namespace }));
  } finally {
    await connection.close();
  }
}

/** A plain connection first: a gRPC channel that is refused once waits a second before it tries again. */
function accepts(address: string): Promise<boolean> {
  const [host, port] = address.split(':') as [string, string];
  return new Promise((resolve) => {
    const socket = connect({ host, port: Number(port) });
    const done = (answer: boolean) => {
      socket.destroy();
      resolve(answer);
    };
    socket.setTimeout(1000, () => done(false));
    socket.once('connect', () => done(true));
    socket.once('error', () => done(false));
  });
}

async function throwIfEnded(server: SpawnedServer, logFile: string): Promise<void> {
  const end = server.ended();
  if (!end) return;
  const log = await lastLines(logFile, 8, server.logStart);
  throw new PermanentError(
    'TemporalServerFailed',
    `the Temporal server ${describeEnd(end)} while starting. Its log (${logFile}) ends:\n${log}`,
  );
}

async function choosePorts(wanted: Partial<TemporalPorts> = {}): Promise<TemporalPorts> {
  const taken = new Set<number>();
  const choose = async (preferred: number | undefined) => {
    if (preferred !== undefined) return preferred;
    let port = await chooseFreePort();
    while (taken.has(port)) port = await chooseFreePort();
    taken.add(port);
    return port;
  };
  return { port: await choose(wanted.port), uiPort: await choose(wanted.uiPort), metricsPort: await choose(wanted.metricsPort) };
}

function serverArguments(options: TemporalServerOptions, namespace: string, ports: TemporalPorts): string[] {
  const args = ['server', 'start-dev', '--ip', '127.0.0.1', '--log-level', 'warn'];
  args.push('--port', String(ports.port), '--ui-port', String(ports.uiPort), '--metrics-port', String(ports.metricsPort));
  if (options.dbFile) {
    // A write-ahead log without a sync at every commit: about twice as fast, and safe against the death of any process. A power failure may
    // take the last moments of the history; what was moved stands in the ledger.
    args.push('--db-filename', options.dbFile, '--sqlite-pragma', 'journal_mode=wal', '--sqlite-pragma', 'synchronous=1');
  }
  if (namespace !== 'default') args.push('--namespace', namespace);
  for (const name of searchAttributeNames) args.push('--search-attribute', `${name}=Keyword`);
  // With its one shard the server looks at its queues 20 times a second by default, and every step waits 45 ms.
  const settings = {
    'history.transferProcessorMaxPollRPS': 2000,
    'history.timerProcessorMaxPollRPS': 2000,
    // A retry after 250 ms would wait a second, and so would what a lost worker had in hand.
    'history.timerProcessorMaxTimeShift': '100ms',
    'matching.enableFairness': true,
    ...options.dynamicConfig,
  };
  for (const [name, value] of Object.entries(settings)) args.push('--dynamic-config-value', `${name}=${JSON.stringify(value)}`);
  return args;
}

/** The user's client settings (profiles, an API key) are not meant for the server. */
function withoutTemporalVariables(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !name.startsWith('TEMPORAL_')));
}
