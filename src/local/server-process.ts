import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { describeError, PermanentError } from '../errors.ts';
import { logPosition, openLogFile } from './log-file.ts';
import { identify, type ProcessIdentity } from './process-identity.ts';

/** How a process ended. */
export interface ProcessEnd {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** A server that was started, and may outlive us. */
export interface SpawnedServer {
  readonly process: ProcessIdentity;
  /** Resolves when it has ended, for whatever reason. */
  readonly exited: Promise<ProcessEnd>;
  /** How it ended, or null while it runs. */
  readonly ended: () => ProcessEnd | null;
  /** Size of the log before this start. */
  readonly logStart: number;
  /** Lets this process end while the server goes on. */
  readonly unref: () => void;
}

export interface ServerCommand {
  /** For people: `the Temporal server`. */
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly env: NodeJS.ProcessEnv;
  /** Its output is appended here. */
  readonly logFile: string;
  /** @default '/' */
  readonly cwd?: string;
  readonly uid?: number;
  readonly gid?: number;
}

/**
 * Starts a server in a session of its own: Ctrl-C in a terminal reaches us alone, and we stop workers and servers in
 * order. Its output goes to a file, so it also outlives a SIGKILL of ours; the next start finds it by `stack.json`.
 *
 * @throws PermanentError `CannotStart` when the program cannot be run.
 */
export async function spawnServer(server: ServerCommand): Promise<SpawnedServer> {
  const log = await openLogFile(server.logFile);
  try {
    const logStart = await logPosition(server.logFile);
    const child = spawn(server.command, server.args, {
      cwd: server.cwd ?? '/',
      env: server.env,
      detached: true,
      stdio: ['ignore', log.fd, log.fd],
      ...(server.uid === undefined ? {} : { uid: server.uid, gid: server.gid }),
    });
    await started(child, server);
    const exited = new Promise<ProcessEnd>((resolve) => {
      child.once('exit', (code, signal) => resolve({ code, signal }));
    });
    // A program that ended at once has no start time any more; the empty one matches no process.
    const process = identify(child.pid as number) ?? { pid: child.pid as number, started: '' };
    return { process, exited, ended: () => endOf(child), logStart, unref: () => child.unref() };
  } finally {
    await log.close();
  }
}

async function started(child: ChildProcess, server: ServerCommand): Promise<void> {
  try {
    await once(child, 'spawn');
  } catch (error) {
    throw new PermanentError(
      'CannotStart',
      `${server.name} could not be started: ${describeError(error)}. Is ${server.command} there and executable?`,
      {
        cause: error,
      },
    );
  }
}

function endOf(child: ChildProcess): ProcessEnd | null {
  return child.exitCode === null && child.signalCode === null ? null : { code: child.exitCode, signal: child.signalCode };
}

/** `ended with status 1`, `was ended by SIGKILL`. */
export function describeEnd(end: ProcessEnd): string {
  return end.signal ? `was ended by ${end.signal}` : `ended with status ${end.code}`;
}
