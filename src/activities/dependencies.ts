/** What activities work with; made once for a worker process. */
import type { SourceConfig } from '../connectors/configs.ts';
import { createSource } from '../connectors/index.ts';
import { Database, databaseUrl } from '../connectors/postgres/database.ts';
import type { Source } from '../connectors/source.ts';
import type { RunRef } from '../contracts/run.ts';
import { TransientError } from '../errors.ts';
import { regionGuard } from '../ledger/regions.ts';
import type { BoundPipeline } from '../pipeline/definition.ts';
import { type LoadedPipeline, type LoadedPipelines, requirePipeline } from '../pipeline/modules.ts';

export interface ActivityOptions {
  readonly loaded: LoadedPipelines;
  /** Who this worker is, for people. */
  readonly identity: string;
  /** The server knows Sluice's search attributes. */
  readonly searchAttributes: boolean;
  /** How many activities this worker does at once. */
  readonly concurrency: number;
  /** Aborted when the worker begins to stop. */
  readonly stopping: AbortSignal;
  readonly env?: NodeJS.ProcessEnv;
}

/** Sessions in a target beside one for each activity: for what takes over, counts and looks meanwhile. */
const FURTHER_SESSIONS = 12;

/** Sources kept open. A pipeline may make a source of its parameters, so that there is no end to them. */
const MOST_SOURCES = 200;

/** Pipelines, and the connections of this worker, shared by all its activities. */
export class Dependencies {
  readonly options: ActivityOptions;
  readonly #databases = new Map<string, Database>();
  readonly #sources = new Map<string, Source>();

  constructor(options: ActivityOptions) {
    this.options = options;
  }

  /** @throws PermanentError `UnknownPipeline` */
  pipeline(name: string): LoadedPipeline {
    return requirePipeline(this.options.loaded, name);
  }

  /**
   * The pipeline of a planned run, as it was when planned.
   * @throws TransientError `DefinitionChanged`: a worker with the planned definition may take it
   */
  boundPipeline(run: RunRef): BoundPipeline {
    const known = this.options.loaded.pipelines.get(run.pipeline);
    if (known?.fingerprint === run.fingerprint) return known.pipeline.bind(run.params);
    const has = known ? `has definition ${known.fingerprint}` : 'does not have it';
    throw new TransientError(
      'DefinitionChanged',
      `Pipeline "${run.pipeline}" of this run was planned as ${run.fingerprint}; this worker ${has} and leaves the run alone. ` +
        'Start a worker with the planned definition, or cancel the run and start it again.',
      { blameless: true },
    );
  }

  /**
   * The target that the definition names by now, for what is to be ended, whatever it was when it was planned.
   * @throws PermanentError `UnknownPipeline`, and where the definition does not take the parameters
   */
  targetByNow(pipeline: string, params: RunRef['params']): Database {
    return this.target(this.pipeline(pipeline).pipeline.bind(params));
  }

  target(pipeline: { readonly target: { readonly url?: string | undefined } }): Database {
    const url = databaseUrl(pipeline.target, this.options.env);
    const max = this.options.concurrency + FURTHER_SESSIONS;
    const open = this.#databases.get(url) ?? new Database('target', url, { max, ...this.#guard() });
    this.#databases.set(url, open);
    return open;
  }

  /** Where there are several regions, a worker writes only while its own is the active one. */
  #guard(): { guard?: string } {
    const { SLUICE_REGION } = this.options.env ?? process.env;
    return SLUICE_REGION ? { guard: regionGuard(SLUICE_REGION) } : {};
  }

  /** A source that knows nothing yet. The caller closes it. */
  freshSource(config: SourceConfig): Source {
    return createSource(config, this.options.env);
  }

  /**
   * The source as this worker shares it among the partitions of its runs. The one not asked for the longest is let go: its sessions end when
   * idle, and who still reads from it goes on.
   */
  source(config: SourceConfig): Source {
    const key = JSON.stringify(config);
    const open = this.#sources.get(key) ?? createSource(config, this.options.env);
    this.#sources.delete(key);
    this.#sources.set(key, open);
    const [longestAgo] = this.#sources.keys();
    if (this.#sources.size > MOST_SOURCES && longestAgo !== undefined) this.#sources.delete(longestAgo);
    return open;
  }

  async close(): Promise<void> {
    await Promise.allSettled([...this.#sources.values()].map((source) => source.close()));
    await Promise.allSettled([...this.#databases.values()].map((database) => database.close()));
  }
}
