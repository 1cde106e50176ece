/** Starts the parts of a cluster in their order, starts again what ends, and stops them in the reverse order. */
import { setTimeout as delay } from 'node:timers/promises';
import { describeError, PermanentError } from '../errors.ts';
import { lastLines } from '../local/log-file.ts';
import { endProcess, identify, isAlive, type ProcessIdentity, signalProcess } from '../local/process-identity.ts';
import { type SpawnedServer, spawnServer } from '../local/server-process.ts';
import { type PartRecord, type PartState, readCluster, type WantedCluster, writeCluster } from './cluster-file.ts';
import type { Awaited } from './compose-file.ts';
import { isHealthy } from './health.ts';
import { type Part, type PartCommand, placeParts, preparePart, wantedServices, whereabouts } from './parts.ts';
import { postmasterOf, processesOf, type Which } from './postmaster.ts';
import { findPrograms, requireAll } from './programs.ts';

export interface SupervisorOptions {
  readonly folder: string;
  readonly wanted: WantedCluster;
  readonly env: NodeJS.ProcessEnv;
  /** Told in whole sentences. */
  readonly onProgress: (message: string) => void;
}

const LOOK_MS = 200;
const RESTART_MS = 1_000;
const MOST_RESTART_MS = 8_000;
/** A part that ran for so long has got over what ended it. */
const FORGIVEN_AFTER_MS = 20_000;
const START_MS = 90_000;
const MOST_TRIES = 10;

interface Running {
  readonly part: Part;
  command: PartCommand;
  state: PartState;
  process: ProcessIdentity | null;
  spawned: SpawnedServer | null;
  since: number;
  restarts: number;
  delayMs: number;
  problem: string | null;
}

export class Supervisor {
  readonly #options: SupervisorOptions;
  readonly #parts: ReadonlyMap<string, Running>;
  #stopping = false;
  #watching: Promise<void> | null = null;
  #writing: Promise<void> = Promise.resolve();

  private constructor(options: SupervisorOptions, parts: readonly Running[]) {
    this.#options = options;
    this.#parts = new Map(parts.map((each) => [each.part.name, each]));
  }

  /**
   * Writes the configuration of all parts. What runs already is taken over.
   * @throws PermanentError `MissingPrograms`
   */
  static async prepare(options: SupervisorOptions): Promise<Supervisor> {
    const { folder, wanted, env, onProgress } = options;
    const services = await wantedServices(folder, wanted);
    const { found, missing } = await findPrograms(services, env);
    requireAll(missing);
    const parts = placeParts(folder, wanted, services);
    const where = whereabouts(folder, wanted, parts);
    const known = (await readCluster(folder))?.parts ?? {};
    const running: Running[] = [];
    for (const part of parts) {
      const program = found.get(part.name);
      if (!program) continue;
      const command = await preparePart(part, { ...where, program, env, onProgress });
      const before = known[part.name];
      const alive = before?.process && isAlive(before.process) ? before.process : null;
      running.push({
        part,
        command,
        state: alive ? 'starting' : before?.state === 'held' ? 'held' : 'waiting',
        process: alive,
        spawned: null,
        since: alive ? Date.parse(before?.since ?? '') : 0,
        restarts: 0,
        delayMs: RESTART_MS,
        problem: null,
      });
    }
    return new Supervisor(options, running);
  }

  /**
   * Starts all parts, each after those that it depends on, and resolves when all are well.
   * @throws PermanentError `PartFailed` with the end of its log
   */
  async start(): Promise<void> {
    this.#watching ??= this.#watch();
    const started = new Map<string, Promise<void>>();
    const start = (name: string): Promise<void> => {
      const known = started.get(name);
      if (known) return known;
      const each = this.#get(name);
      const starting = (async () => {
        const { dependsOn } = each.part.service;
        await Promise.all(
          Object.entries(dependsOn).map(async ([other, awaited]) => {
            if (!this.#parts.has(other)) return;
            await start(other);
            await this.#until(other, awaited);
          }),
        );
        if (each.state === 'waiting') await this.#launch(each);
        await this.#until(name, each.part.service.runsOnce ? 'service_completed_successfully' : 'service_healthy');
      })();
      started.set(name, starting);
      return starting;
    };
    await Promise.all([...this.#parts.keys()].map(start));
    await this.#writing;
  }

  /** Stops all parts, those first on which none depends. */
  async stop(): Promise<void> {
    this.#stopping = true;
    await this.#watching;
    const left = new Set(this.#parts.keys());
    while (left.size > 0) {
      const needed = new Set([...left].flatMap((name) => Object.keys(this.#get(name).part.service.dependsOn)));
      // Whatever only stands in a circle is stopped together.
      const free = [...left].filter((name) => !needed.has(name));
      const now = free.length > 0 ? free : [...left];
      await Promise.all(now.map((name) => this.stopPart(name)));
      for (const name of now) left.delete(name);
    }
    await this.#writing;
  }

  /** SIGTERM, and SIGKILL for what takes longer than it may. */
  async stopPart(name: string): Promise<void> {
    const each = this.#get(name);
    const { stopSeconds } = each.part.service;
    const postmaster = await postmasterOf(each.part);
    if (each.process) {
      await endProcess(each.process, [
        { signal: 'SIGTERM', waitMs: stopSeconds * 1000 },
        { signal: 'SIGKILL', waitMs: 10_000 },
      ]);
    }
    // Patroni was killed, and its PostgreSQL lives on.
    if (postmaster && isAlive(postmaster)) {
      await endProcess(postmaster, [
        { signal: 'SIGINT', waitMs: 15_000 },
        { signal: 'SIGKILL', waitMs: 10_000 },
      ]);
    }
    this.#set(each, each.state === 'held' ? 'held' : 'stopped', null);
  }

  /** Names of the parts, in the order of the file. */
  names(): string[] {
    return [...this.#parts.keys()];
  }

  part(name: string): Part {
    return this.#get(name).part;
  }

  stateOf(name: string): PartState {
    return this.#get(name).state;
  }

  /** The processes of a part; those that are not there are left out. */
  async processes(name: string, which: Which = 'all'): Promise<ProcessIdentity[]> {
    const each = this.#get(name);
    return await processesOf(each.part, each.process, which);
  }

  /** Sends a signal to a part's own processes; returns how many got it. */
  async signal(name: string, signal: NodeJS.Signals, which: Which = 'all'): Promise<number> {
    const processes = await this.processes(name, which);
    return processes.filter((process) => signalProcess(process, signal)).length;
  }

  /** Does not start it again when it ends. */
  hold(name: string): void {
    const each = this.#get(name);
    this.#set(each, 'held', each.process);
  }

  /** Starts a part that was held. */
  async release(name: string): Promise<void> {
    const each = this.#get(name);
    if (each.state !== 'held') return;
    if (each.process && isAlive(each.process)) this.#set(each, 'starting', each.process);
    else await this.#launch(each);
  }

  /** Stops a part in good order, and starts it again. */
  async restart(name: string): Promise<void> {
    this.hold(name);
    await this.stopPart(name);
    await this.release(name);
  }

  /** Waits until a part is well. */
  async untilUp(name: string): Promise<void> {
    await this.#until(name, 'service_healthy');
  }

  /** Changes what a part is started with from now on. */
  setEnv(name: string, env: Readonly<Record<string, string>>): void {
    const each = this.#get(name);
    each.command = { ...each.command, env: { ...each.command.env, ...env } };
  }

  #get(name: string): Running {
    const each = this.#parts.get(name);
    if (!each) throw new PermanentError('UnknownPart', `There is no part "${name}". Parts: ${[...this.#parts.keys()].join(', ')}.`);
    return each;
  }

  async #launch(each: Running): Promise<void> {
    const { part, command } = each;
    try {
      const spawned = await spawnServer({ name: part.name, ...command, logFile: part.logFile });
      spawned.unref();
      each.spawned = spawned;
      each.since = Date.now();
      each.problem = null;
      this.#set(each, 'starting', spawned.process);
    } catch (error) {
      each.problem = describeError(error);
      this.#set(each, 'failed', null);
    }
  }

  async #until(name: string, awaited: Awaited): Promise<void> {
    const each = this.#get(name);
    const deadline = Date.now() + START_MS;
    const isThere = () => {
      if (each.state === 'held') return true;
      if (awaited === 'service_started') return each.process !== null;
      return each.state === (awaited === 'service_healthy' ? 'up' : 'done');
    };
    while (!isThere()) {
      if (each.state === 'failed' || this.#stopping || Date.now() > deadline) {
        const log = each.problem ?? (await lastLines(each.part.logFile, 12, each.spawned?.logStart ?? 0));
        throw new PermanentError(
          'PartFailed',
          `${name} is ${each.state} and does not get well. Its log (${each.part.logFile}) ends:\n${log}`,
        );
      }
      await delay(50);
    }
  }

  async #watch(): Promise<void> {
    while (!this.#stopping) {
      await Promise.all([...this.#parts.values()].map((each) => this.#look(each)));
      await delay(LOOK_MS);
    }
  }

  async #look(each: Running): Promise<void> {
    const { service } = each.part;
    if (each.state === 'starting' && each.process && isAlive(each.process)) {
      if (!service.runsOnce && (await this.#isWell(each))) this.#set(each, 'up', each.process);
      return;
    }
    if (each.process === null || isAlive(each.process)) return;
    if (each.state === 'held') return this.#set(each, 'held', null);
    if (each.state !== 'starting' && each.state !== 'up') return;
    const end = await each.spawned?.exited;
    if (service.runsOnce && end?.code === 0) return this.#set(each, 'done', null);
    if (service.runsOnce && each.restarts >= MOST_TRIES) return this.#set(each, 'failed', null);
    if (Date.now() - each.since > FORGIVEN_AFTER_MS) each.delayMs = RESTART_MS;
    const pause = each.delayMs;
    each.delayMs = Math.min(pause * 2, MOST_RESTART_MS);
    each.restarts += 1;
    this.#set(each, 'restarting', null);
    if (!service.runsOnce) this.#options.onProgress(`${each.part.name} has ended; it is started again in ${pause / 1000} s.`);
    void delay(pause).then(async () => {
      if (each.state === 'restarting' && !this.#stopping) await this.#launch(each);
    });
  }

  async #isWell({ part }: Running): Promise<boolean> {
    const { health } = part.service;
    return health === null || (await isHealthy(part.address, health));
  }

  #set(each: Running, state: PartState, process: ProcessIdentity | null): void {
    each.state = state;
    each.process = process;
    this.#writing = this.#writing.then(() => this.#write()).catch((error) => this.#options.onProgress(describeError(error)));
  }

  async #write(): Promise<void> {
    const { folder, wanted } = this.#options;
    const parts = [...this.#parts.values()].map(({ part, state, process, since, restarts, problem }): [string, PartRecord] => [
      part.name,
      { address: part.address, state, process, since: since ? new Date(since).toISOString() : null, restarts, problem },
    ]);
    const supervisor = this.#stopping && parts.every(([, { process }]) => process === null) ? null : identify(globalThis.process.pid);
    await writeCluster(folder, { wanted, supervisor, parts: Object.fromEntries(parts) });
  }
}
