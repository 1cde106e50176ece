/** Histories of released versions run on with the present workflow code: a run that is under way survives an upgrade. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import proto from '@temporalio/proto';
import { bundleWorkflowCode, DefaultLogger, Runtime, Worker } from '@temporalio/worker';

interface Recorded {
  readonly workflowId: string;
  /** As protobufjs writes it. */
  readonly history: { readonly events: readonly RecordedEvent[] };
}

interface RecordedEvent {
  readonly eventType: string;
  readonly workflowExecutionStartedEventAttributes?: { readonly workflowType: { readonly name: string } };
}

const { History } = proto.temporal.api.history.v1;
const HISTORIES = join(__dirname, 'histories');
/** As built, and as workers run them. */
const DIST = join(__dirname, '../../dist');
const logger = new DefaultLogger('ERROR', () => {});

function read(file: string): Recorded[] {
  return JSON.parse(readFileSync(join(HISTORIES, file), 'utf8'));
}

const typeOf = ({ history }: Recorded) => history.events[0]?.workflowExecutionStartedEventAttributes?.workflowType.name ?? '';

/** Replays histories with the workflows of a bundle; gives what did not fit, by workflow. */
async function replay(code: string, recorded: readonly Recorded[]): Promise<string[]> {
  const problems: string[] = [];
  const results = Worker.runReplayHistories(
    { workflowBundle: { code } },
    recorded.map(({ workflowId, history }) => ({ workflowId, history: History.fromObject(history) })),
  );
  for await (const { workflowId, error } of results) if (error) problems.push(`${workflowId}: ${error.name}: ${error.message}`);
  return problems;
}

let code: string;

beforeAll(() => {
  Runtime.install({ logger });
  code = readFileSync(join(DIST, 'workflows.bundle.js'), 'utf8');
});

test.each(readdirSync(HISTORIES))('%s', async (file) => {
  expect(await replay(code, read(file))).toEqual([]);
});

test('the histories hold what can happen to a run', () => {
  const all = readdirSync(HISTORIES).flatMap(read);
  expect([...new Set(all.map(typeOf))].sort()).toEqual(['extract', 'load', 'pipeline', 'transform', 'verify']);
  const events = new Set(all.flatMap(({ history }) => history.events.map((event) => event.eventType.replace('EVENT_TYPE_', ''))));
  for (const type of [
    'WORKFLOW_EXECUTION_COMPLETED',
    'WORKFLOW_EXECUTION_FAILED',
    'WORKFLOW_EXECUTION_CANCELED',
    'WORKFLOW_EXECUTION_CONTINUED_AS_NEW',
    'WORKFLOW_EXECUTION_SIGNALED',
    'ACTIVITY_TASK_FAILED',
    'ACTIVITY_TASK_CANCEL_REQUESTED',
    'CHILD_WORKFLOW_EXECUTION_COMPLETED',
    'CHILD_WORKFLOW_EXECUTION_CANCELED',
  ]) {
    expect(events).toContain(type);
  }
});

test('workflow code that decides otherwise is found out', async () => {
  // Given workflows whose extract does something else first
  const folder = mkdtempSync(join(__dirname, 'other-'));
  try {
    writeFileSync(
      join(folder, 'index.js'),
      `import { sleep } from '@temporalio/workflow';
       import { extract as planned } from '${DIST}/workflows/index.js';
       export { load, pipeline, transform, verify } from '${DIST}/workflows/index.js';
       export async function extract(input) { await sleep('1 minute'); return await planned(input); }`,
    );
    const other = await bundleWorkflowCode({ workflowsPath: join(folder, 'index.js'), logger });

    // When the histories of a plain run are replayed, then exactly the extract does not fit
    const problems = await replay(other.code, read('plain.json'));
    expect(problems).toHaveLength(1);
    expect(problems[0]).toMatch(/\/extract: DeterminismViolationError/);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
