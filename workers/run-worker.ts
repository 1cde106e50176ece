/** One worker: the only place where workflows, activities, pipelines and connections are put together. */
import { hostname } from 'node:os';
import { fileURLToPath } from 'node:url';
import { DefaultLogger, NativeConnection, Runtime, Worker } from '@temporalio/worker';
import { Dependencies } from '../src/activities/dependencies.ts';
import { createActivities } from '../src/activities/index.ts';
import { registerSearchAttributes } from '../src/client/search-attributes.ts';
import { temporalSettings } from '../src/client/settings.ts';
import { loadPipelines } from '../src/pipeline/modules.ts';
import { createLogger } from '../src/telemetry/log.ts';
import { concurrencyOf } from './concurrency.ts';
import { startHealthEndpoint } from './health-endpoint.ts';

const BUNDLE = fileURLToPath(new URL('../workflows.bundle.js', import.meta.url));

/** How long a worker that stops gives what it has in hand. */
const GRACE = '60 seconds';

export interface RunWorkerOptions {
  /** Folder of the pipelines. @default SLUICE_PIPELINES, else 'pipelines' */
  readonly pipelines?: string | undefined;
  readonly taskQueue?: string | undefined;
  /** Called when the worker takes work. */
  readonly onReady?: () => void;
  /** Aborting it stops the worker: the chunk in flight ends, the partition is handed on. */
  readonly stop: AbortSignal;
}

/** Runs until `stop`; resolves when everything in hand has been ended or handed on. */
export async function runWorker(options: RunWorkerOptions): Promise<void> {
  const identity = `${process.pid}@${hostname()}`;
  const log = createLogger({ worker: identity });
  // Signals are this program's own business: the SDK would cancel activities on the first.
  const { SLUICE_HEALTH_ADDRESS, SLUICE_METRICS_ADDRESS, SLUICE_CONCURRENCY } = process.env;
  const concurrency = concurrencyOf(SLUICE_CONCURRENCY);
  Runtime.install({
    shutdownSignals: [],
    // https://docs.temporal.io/references/sdk-metrics
    ...(SLUICE_METRICS_ADDRESS ? { telemetryOptions: { metrics: { prometheus: { bindAddress: SLUICE_METRICS_ADDRESS } } } } : {}),
    logger: new DefaultLogger('WARN', ({ level, message, meta }) => log.forSdk(level, message, meta)),
  });
  const loaded = await loadPipelines({ dir: options.pipelines ?? process.env.SLUICE_PIPELINES });
  for (const problem of loaded.problems) log.warn(problem.error.message);

  // A worker of each region polls there: when its region becomes the active one, it has the work at once.
  const settings = await temporalSettings({ taskQueue: options.taskQueue, ownRegion: true });
  const { address, tls, apiKey, metadata } = settings.connection;
  const connection = await NativeConnection.connect({ address, tls, metadata, apiKey: typeof apiKey === 'function' ? apiKey() : apiKey });
  const searchAttributes = await registerSearchAttributes(connection, settings.namespace, (message) => log.warn(message));
  const stopping = new AbortController();
  const dependencies = new Dependencies({ loaded, identity, searchAttributes, concurrency, stopping: stopping.signal });
  const worker = await Worker.create({
    connection,
    namespace: settings.namespace,
    taskQueue: settings.taskQueue,
    identity,
    workflowBundle: { codePath: BUNDLE },
    activities: createActivities(dependencies),
    maxConcurrentActivityTaskExecutions: concurrency,
    maxCachedWorkflows: 200,
    // A cancellation arrives with the answer to a heartbeat, and a lost worker is noticed by its last one.
    maxHeartbeatThrottleInterval: '1 second',
    defaultHeartbeatThrottleInterval: '1 second',
    stickyQueueScheduleToStartTimeout: '2 seconds',
    shutdownGraceTime: GRACE,
    shutdownForceTime: '70 seconds',
  });
  const isRunning = () => worker.getState() === 'RUNNING';
  const health = SLUICE_HEALTH_ADDRESS ? await startHealthEndpoint(SLUICE_HEALTH_ADDRESS, isRunning) : null;
  const stop = () => {
    log.info('worker stopping: the chunks in flight end, their partitions are handed on');
    stopping.abort();
    worker.shutdown();
  };
  if (options.stop.aborted) stop();
  else options.stop.addEventListener('abort', stop, { once: true });
  const names = [...loaded.pipelines.keys()].sort();
  log.info(`worker ready: ${names.length} pipelines (${names.join(', ')}), task queue ${settings.taskQueue} at ${settings.address}`);
  options.onReady?.();
  try {
    await worker.run();
  } finally {
    health?.close();
    await dependencies.close();
    await connection.close();
  }
}
