/** What `sluice doctor` looks at. Nothing is started or changed. */
import proto from '@temporalio/proto';
import { connect } from '../client/connect.ts';
import { temporalSettings } from '../client/settings.ts';
import type { SluiceClient } from '../client/sluice-client.ts';
import { Database, OLDEST_SERVER } from '../connectors/postgres/database.ts';
import { SEARCH_ATTRIBUTES } from '../contracts/names.ts';
import { describeError } from '../errors.ts';
import { loadPipelines } from '../pipeline/modules.ts';
import { type Session, STATE_FOLDER } from './session.ts';

export interface Finding {
  readonly what: string;
  /** `missing` stops runs; `warning` does not, or not yet. */
  readonly status: 'ok' | 'warning' | 'missing';
  /** What was found. */
  readonly found: string;
  /** What to do; absent where all is well. */
  readonly advice?: string;
}

const OLDEST_NODE = [20, 19] as const;
/** Another process may be fetching the program. */
const LOCAL_MS = 3_000;
const POLLERS_MS = 5_000;

export async function findings(session: Session): Promise<Finding[]> {
  const [local, service, database, pipelines] = await Promise.all([
    checkTemporalProgram(session),
    checkTemporal(session),
    checkDatabase(session),
    checkPipelines(session),
  ]);
  return [checkNode(), local, ...service, ...database, ...pipelines];
}

function checkNode(): Finding {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  const good = major > OLDEST_NODE[0] || (major === OLDEST_NODE[0] && minor >= OLDEST_NODE[1]);
  if (good) return { what: 'Node', status: 'ok', found: process.version };
  return { what: 'Node', status: 'missing', found: process.version, advice: `Install Node ${OLDEST_NODE.join('.')} or newer.` };
}

/** The program for `sluice dev`; not needed where the environment names a service. */
async function checkTemporalProgram(session: Session): Promise<Finding> {
  const what = 'Temporal CLI';
  const { findTemporalBinary } = await import('../local/temporal-binary.ts');
  try {
    // Without makers: looked for, not fetched.
    const { path, version, source } = await findTemporalBinary({ env: session.env, makers: [], signal: AbortSignal.timeout(LOCAL_MS) });
    return { what, status: 'ok', found: `${version} (${source}: ${path})` };
  } catch {
    return {
      what,
      status: 'warning',
      found: 'not on the PATH, not in the cache',
      advice:
        '"sluice dev" gets it at its first start; or install it (https://docs.temporal.io/cli), or name a service with TEMPORAL_ADDRESS.',
    };
  }
}

async function checkTemporal(session: Session): Promise<Finding[]> {
  const what = 'Temporal';
  let sluice: SluiceClient;
  try {
    sluice = await connect({ taskQueue: session.taskQueue, stateDir: STATE_FOLDER, timeoutMs: 3_000 });
  } catch (error) {
    const { address, origin } = await temporalSettings({ stateDir: STATE_FOLDER }).catch(() => ({
      address: 'unknown address',
      origin: 'environment',
    }));
    const advice = origin === 'default' ? '"sluice dev" starts one, or name yours with TEMPORAL_ADDRESS.' : describeError(error);
    return [{ what, status: 'missing', found: `no answer at ${address} (from ${ORIGINS[origin] ?? origin})`, advice }];
  }
  try {
    const { address, origin, namespace } = sluice.settings;
    const { serverVersion } = await sluice.temporal.workflowService.getSystemInfo({}).then(
      (info) => ({ serverVersion: info.serverVersion || 'unknown version' }),
      () => ({ serverVersion: 'unknown version' }),
    );
    const service: Finding = { what, status: 'ok', found: `server ${serverVersion} at ${address} (from ${ORIGINS[origin]})` };
    return [service, await checkNamespace(sluice, namespace), await checkSearchAttributes(sluice, namespace), await checkWorkers(sluice)];
  } finally {
    await sluice.close();
  }
}

const ORIGINS: Readonly<Record<string, string>> = {
  options: 'the command line',
  environment: 'the environment',
  stack: 'the "sluice dev" of this folder',
  default: 'the default',
};

async function checkNamespace({ temporal: client }: SluiceClient, namespace: string): Promise<Finding> {
  const what = 'namespace';
  try {
    await client.workflowService.describeNamespace({ namespace });
    return { what, status: 'ok', found: namespace };
  } catch (error) {
    const advice = `Create it (temporal operator namespace create --namespace ${namespace}), or name another with TEMPORAL_NAMESPACE.`;
    return { what, status: 'missing', found: `${namespace}: ${describeError(error)}`, advice };
  }
}

async function checkSearchAttributes({ temporal: client }: SluiceClient, namespace: string): Promise<Finding> {
  const what = 'search attributes';
  const KEYWORD = proto.temporal.api.enums.v1.IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD;
  try {
    const { customAttributes } = await client.connection.operatorService.listSearchAttributes({ namespace });
    const missing = SEARCH_ATTRIBUTES.filter((name) => customAttributes?.[name] !== KEYWORD);
    if (missing.length === 0) return { what, status: 'ok', found: SEARCH_ATTRIBUTES.join(', ') };
    const create = `temporal operator search-attribute create ${missing.map((name) => `--name ${name} --type Keyword`).join(' ')}`;
    return {
      what,
      status: 'warning',
      found: `not registered: ${missing.join(', ')}`,
      advice: `A worker registers them at its start where it may; else: ${create}`,
    };
  } catch (error) {
    return {
      what,
      status: 'warning',
      found: `cannot be listed: ${describeError(error)}`,
      advice: 'Runs work without; lists cannot be filtered by pipeline.',
    };
  }
}

async function checkWorkers({ temporal: client, settings }: SluiceClient): Promise<Finding> {
  const what = 'workers';
  const WORKFLOW = proto.temporal.api.enums.v1.TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW;
  try {
    const { pollers } = await client.withDeadline(Date.now() + POLLERS_MS, () =>
      client.workflowService.describeTaskQueue({
        namespace: settings.namespace,
        taskQueue: { name: settings.taskQueue },
        taskQueueType: WORKFLOW,
      }),
    );
    const names = [...new Set((pollers ?? []).map((poller) => poller.identity ?? ''))];
    const found = `${names.length} on the task queue "${settings.taskQueue}"${names.length > 0 ? ` (${names.join(', ')})` : ''}`;
    if (names.length > 1) return { what, status: 'ok', found };
    if (names.length === 1)
      return {
        what,
        status: 'ok',
        found,
        advice: 'Start a second one, on another machine if you can: then the loss of one is not noticed.',
      };
    return {
      what,
      status: 'missing',
      found,
      advice: 'Start some with "sluice worker" (or "sluice dev" on this machine). Runs wait until then.',
    };
  } catch (error) {
    return { what, status: 'warning', found: describeError(error) };
  }
}

async function checkDatabase(session: Session): Promise<Finding[]> {
  const what = 'database';
  const named = await session.database();
  if (!named) {
    const advice = 'Set SLUICE_DATABASE_URL (for the workers too), or start "sluice dev", which brings a PostgreSQL.';
    return [{ what, status: 'missing', found: 'none named', advice }];
  }
  const database = new Database('target', named.url, { max: 1 });
  try {
    const [server] = await database.query<{ version: string; number: number; create: boolean }>(
      `select current_setting('server_version') as version, current_setting('server_version_num')::int as number,
              has_database_privilege(current_database(), 'create') as create`,
    );
    const version = server?.version ?? 'unknown';
    const tooOld = (server?.number ?? 0) < OLDEST_SERVER.target * 10_000;
    const found = `PostgreSQL ${version}, ${database.label}${named.embedded ? ' (embedded)' : ''}`;
    const first: Finding = tooOld
      ? { what, status: 'missing', found, advice: `Sluice needs ${OLDEST_SERVER.target} or newer. Upgrade the server.` }
      : { what, status: 'ok', found };
    return [first, await checkLedger(database, server?.create ?? false)];
  } catch (error) {
    return [{ what, status: 'missing', found: describeError(error), advice: 'Check SLUICE_DATABASE_URL and that the server is up.' }];
  } finally {
    await database.close();
  }
}

async function checkLedger(database: Database, mayCreate: boolean): Promise<Finding> {
  const what = 'ledger';
  const [ready] = await database.query<{ ready: boolean }>(`select to_regclass('sluice.migrations') is not null as ready`);
  if (!ready?.ready) {
    if (mayCreate) return { what, status: 'ok', found: 'not there yet; the first run makes it (schemas sluice and sluice_staging)' };
    const advice =
      'Grant CREATE on the database, or create the schemas sluice and sluice_staging for the role (docs/operations/grants.md).';
    return { what, status: 'missing', found: 'not there, and this role may not create schemas', advice };
  }
  const [facts] = await database.query<{ version: number; runs: number; open: number }>(
    `select (select coalesce(max(version), 0)::int from sluice.migrations) as version, (select count(*)::int from sluice.runs) as runs,
            (select count(*)::int from sluice.runs where status = 'running') as open`,
  );
  return { what, status: 'ok', found: `version ${facts?.version ?? 0}, ${facts?.runs ?? 0} runs, ${facts?.open ?? 0} of them running` };
}

async function checkPipelines(session: Session): Promise<Finding[]> {
  const what = 'pipelines';
  try {
    const { pipelines, problems } = await loadPipelines({ dir: session.pipelines, cwd: session.cwd });
    const names = [...pipelines.keys()].sort();
    const good: Finding =
      names.length > 0
        ? { what, status: 'ok', found: `${names.join(', ')} (in ${session.pipelines})` }
        : { what, status: 'warning', found: `none in ${session.pipelines}`, advice: '"sluice init" writes one.' };
    return [
      good,
      ...problems.map(
        ({ error }): Finding => ({ what, status: 'missing', found: error.message, advice: 'Correct the module; runs of it fail.' }),
      ),
    ];
  } catch (error) {
    return [{ what, status: 'warning', found: describeError(error) }];
  }
}
