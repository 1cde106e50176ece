/** What every command gets: its options, where it speaks, and the way to Temporal and to the database. */
import type { ConnectOptions } from '../client/settings.ts';
import type { SluiceClient } from '../client/sluice-client.ts';
import { DEFAULT_PIPELINES_FOLDER, DEFAULT_TASK_QUEUE } from '../contracts/names.ts';
import { isAlive } from '../local/process-identity.ts';
import { Output } from './output.ts';

/** Options that every command takes. */
export interface CommonOptions {
  readonly json?: boolean;
  readonly pipelines?: string;
  readonly taskQueue?: string;
}

/** The database of the ledger, and whether it is the embedded one. */
export interface SessionDatabase {
  /** With user and password. */
  readonly url: string;
  readonly embedded: boolean;
}

/** Where everything of `sluice dev` is, relative to the working directory. */
export const STATE_FOLDER = '.sluice';

export class Session {
  readonly output: Output;
  readonly cwd = process.cwd();
  readonly env = process.env;
  /** Folder of the pipelines, relative to the working directory. */
  readonly pipelines: string;
  readonly taskQueue: string;

  constructor(options: CommonOptions) {
    this.output = new Output(options.json ?? false);
    this.pipelines = options.pipelines || this.env.SLUICE_PIPELINES || DEFAULT_PIPELINES_FOLDER;
    this.taskQueue = options.taskQueue || this.env.SLUICE_TASK_QUEUE || DEFAULT_TASK_QUEUE;
  }

  /** Connects to Temporal. The caller closes the client. */
  async connect(options: ConnectOptions = {}): Promise<SluiceClient> {
    // Commands that need no Temporal start without its SDK.
    const { connect } = await import('../client/connect.ts');
    return await connect({ taskQueue: this.taskQueue, stateDir: STATE_FOLDER, ...options });
  }

  /** Connects, does the work, and closes the connection. */
  async withClient<T>(work: (sluice: SluiceClient) => Promise<T>): Promise<T> {
    const sluice = await this.connect();
    try {
      return await work(sluice);
    } finally {
      await sluice.close();
    }
  }

  /** The database that SLUICE_DATABASE_URL names, else the one that `sluice dev` has up; null where there is none. */
  async database(): Promise<SessionDatabase | null> {
    if (this.env.SLUICE_DATABASE_URL) return { url: this.env.SLUICE_DATABASE_URL, embedded: false };
    const { readStack } = await import('../local/stack-file.ts');
    const { database } = await readStack(STATE_FOLDER);
    return database && isAlive(database.process) ? { url: database.url, embedded: true } : null;
  }
}
