import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { PermanentError } from '../src/errors.ts';
import { lastLines, logPosition, openLogFile } from '../src/local/log-file.ts';

/** Node, Temporal's core and DuckDB have many threads, and each would keep an arena of freed memory: 20 to 30 MB of a worker's peak. */
const GLIBC = { MALLOC_ARENA_MAX: '2' };

export interface WorkerPoolOptions {
  /** The compiled program of one worker: `dist/workers/worker.js`. It sends `{ type: 'ready' }` when it polls. */
  readonly entry: string;
  /** How many. */
  readonly count: number;
  readonly env?: NodeJS.ProcessEnv;
  /** Arguments after the entry. */
  readonly args?: readonly string[];
  /** Arguments of Node itself. @default those of this process */
  readonly nodeArgs?: readonly string[];
  /** Worker `n` writes to `worker-n.log` here. */
  readonly logs: string;
  /** Start another one where a worker ends unexpectedly. @default true */
  readonly restart?: boolean;
  /** The first pause before that, in milliseconds; doubled each time up to 10 s, and forgotten after 30 s of work. @default 250 */
  readonly restartDelayMs?: number;
  /** How long a worker may take to end after SIGTERM, in milliseconds, before SIGKILL. @default 30000 */
  readonly stopTimeoutMs?: number;
  /** Told in whole sentences when a worker ends and is started again. */
  readonly onProgress?: (message: string) => void;
}

/** A supervised set of worker processes. */
export interface WorkerPool {
  /** Process ids of those that run now. */
  readonly pids: () => number[];
  /** How many of them are ready to work. */
  readonly readyCount: () => number;
  /** How often workers were started again after an unexpected end. */
  readonly restarts: () => number;
  /** Calls the listener when `pids()` or `readyCount()` has changed. */
  readonly onChange: (listener: () => void) => void;
  /**
   * Resolves when all are ready.
   * @throws PermanentError `WorkerFailed` when a worker ends three times in a row before it is ready, with the end of its log.
   */
  readonly ready: () => Promise<void>;
  /** Makes it `count` workers; resolves when those too many have ended. New ones start at once (see `ready`). */
  readonly scale: (count: number) => Promise<void>;
  /** SIGTERM to all, so that each finishes its chunk; SIGKILL to those that take longer than `stopTimeoutMs`. May be called twice. */
  readonly stop: () => Promise<void>;
  /** The user is in a hurry (a second Ctrl-C): SIGKILL to all that are left. */
  readonly kill: () => Promise<void>;
}

const longestDelayMs = 10_000;
const forgiveAfterMs = 30_000;
const startsBeforeGivingUp = 3;

/**
 * Starts worker processes, and starts another one for each that ends unexpectedly. Each is in a session of its own, so that Ctrl-C in a
 * terminal does not reach it before the pool decides; a worker ends by itself when its channel to the pool closes.
 *
 * @example
 * const pool = startWorkerPool({ entry: 'dist/workers/worker.js', count: 2, env: { ...process.env, ...stack.env }, logs: stack.logs });
 * stack.use(pool);
 * await pool.ready();
 */
export function startWorkerPool(options: WorkerPoolOptions): WorkerPool {
  const listeners: (() => void)[] = [];
  const changed = () => {
    for (const listener of listeners) listener();
  };
  const slots: WorkerSlot[] = [];
  let restarts = 0;
  let stopping: Promise<void> | null = null;
  const add = () =>
    slots.push(
      new WorkerSlot(slots.length + 1, options, changed, () => {
        restarts++;
      }),
    );
  while (slots.length < options.count) add();

  return {
    pids: () => slots.flatMap((slot) => slot.pid ?? []),
    readyCount: () => slots.filter((slot) => slot.isReady).length,
    restarts: () => restarts,
    onChange: (listener) => {
      listeners.push(listener);
    },
    ready: () =>
      new Promise((resolve, reject) => {
        const look = () => {
          const failed = slots.find((slot) => slot.failure);
          if (failed) reject(failed.failure);
          else if (slots.every((slot) => slot.isReady)) resolve();
        };
        listeners.push(look);
        look();
      }),
    scale: async (count) => {
      if (stopping) return;
      while (slots.length < count) add();
      await Promise.all(slots.splice(count).map((slot) => slot.stop()));
      changed();
    },
    stop: () => {
      stopping ??= Promise.all(slots.map((slot) => slot.stop())).then(() => {});
      return stopping;
    },
    kill: async () => {
      stopping ??= Promise.resolve();
      await Promise.all(slots.map((slot) => slot.kill()));
    },
  };
}

/** One place of the pool, and the process that fills it at the time. */
class WorkerSlot {
  isReady = false;
  /** Why it was given up before it was ever ready. */
  failure: PermanentError | null = null;
  #child: ChildProcess | null = null;
  #ended: Promise<void> = Promise.resolve();
  #stopping = false;
  #everReady = false;
  #failedStarts = 0;
  #delayMs: number;
  #timer: NodeJS.Timeout | null = null;

  readonly #number: number;
  readonly #options: WorkerPoolOptions;
  readonly #changed: () => void;
  readonly #restarted: () => void;

  constructor(number: number, options: WorkerPoolOptions, changed: () => void, restarted: () => void) {
    this.#number = number;
    this.#options = options;
    this.#changed = changed;
    this.#restarted = restarted;
    this.#delayMs = options.restartDelayMs ?? 250;
    this.#start();
  }

  get pid(): number | null {
    return this.#child?.pid ?? null;
  }

  async stop(): Promise<void> {
    this.#retire();
    if (this.#child) {
      const late = setTimeout(() => {
        this.#options.onProgress?.(`Worker ${this.#number} did not end in time; ending it now.`);
        this.#child?.kill('SIGKILL');
      }, this.#options.stopTimeoutMs ?? 30_000);
      this.#child.kill('SIGTERM');
      await this.#ended;
      clearTimeout(late);
    }
    await this.#ended;
  }

  async kill(): Promise<void> {
    this.#retire();
    this.#child?.kill('SIGKILL');
    await this.#ended;
  }

  #retire(): void {
    this.#stopping = true;
    if (this.#timer) clearTimeout(this.#timer);
  }

  #start(): void {
    this.#timer = null;
    this.#ended = this.#runOnce().catch((error: Error) => this.#giveUp(error.message));
  }

  /** Starts the process and resolves when it has ended, and what follows from that is decided. */
  async #runOnce(): Promise<void> {
    const { entry, args = [], nodeArgs = process.execArgv, env = process.env, logs } = this.#options;
    const logFile = join(logs, `worker-${this.#number}.log`);
    const log = await openLogFile(logFile);
    const logStart = await logPosition(logFile);
    if (this.#stopping) return log.close();
    const begin = Date.now();
    const child = spawn(process.execPath, [...nodeArgs, entry, ...args], {
      env: { ...GLIBC, ...env },
      detached: true,
      stdio: ['ignore', log.fd, log.fd, 'ipc'],
    });
    child.on('message', (message) => {
      if ((message as { type?: unknown } | null)?.type !== 'ready') return;
      this.isReady = true;
      this.#everReady = true;
      this.#changed();
    });
    const ending = this.#untilEnded(child);
    await log.close();
    const how = await ending;
    this.#child = null;
    this.isReady = false;
    if (!this.#stopping) await this.#decide(child.pid, how, Date.now() - begin, logFile, logStart);
    this.#changed();
  }

  #untilEnded(child: ChildProcess): Promise<string> {
    return new Promise((resolve, reject) => {
      child.once('error', (error) => (child.pid === undefined ? reject(error) : undefined));
      child.once('exit', (code, signal) => resolve(signal ? `was ended by ${signal}` : `ended with status ${code}`));
      if (child.pid === undefined) return;
      this.#child = child;
      this.#changed();
    });
  }

  async #decide(pid: number | undefined, how: string, livedMs: number, logFile: string, logStart: number): Promise<void> {
    const { restart = true, restartDelayMs = 250, onProgress } = this.#options;
    const name = `Worker ${this.#number} (process ${pid})`;
    // Once it has worked, whatever it lacks now (Temporal is down, say) is worth waiting for.
    if (!this.#everReady && ++this.#failedStarts >= startsBeforeGivingUp) {
      const log = await lastLines(logFile, 12, logStart);
      return this.#giveUp(`${name} ${how} before it was ready, ${this.#failedStarts} times in a row. Its log (${logFile}) ends:\n${log}`);
    }
    if (!restart) {
      onProgress?.(`${name} ${how}.`);
      return;
    }
    if (livedMs >= forgiveAfterMs) this.#delayMs = restartDelayMs;
    onProgress?.(`${name} ${how}; starting another one in ${this.#delayMs / 1000} s.`);
    this.#timer = setTimeout(() => {
      this.#restarted();
      this.#start();
    }, this.#delayMs);
    this.#delayMs = Math.min(this.#delayMs * 2, longestDelayMs);
  }

  #giveUp(message: string): void {
    this.failure = new PermanentError('WorkerFailed', message);
    this.#options.onProgress?.(message);
    this.#changed();
  }
}
