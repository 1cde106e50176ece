/** The front door that is Temporal's own: a run started, watched, paused, resumed, listed and cancelled by the Temporal CLI alone. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { connect } from '../../src/client/index.ts';
import { stageWorkflowId } from '../../src/contracts/names.ts';
import type { Progress, RunSummary } from '../../src/contracts/run.ts';
import { cleanups } from '../helpers/cleanup.ts';
import { gateAt } from '../helpers/gate.ts';
import { createLedger, stagingTables } from '../helpers/ledger.ts';
import { freshDatabase, query, sharedTemporalAddress, temporalBinary } from '../helpers/servers.ts';
import { until } from '../helpers/wait.ts';
import { FLIGHTS, type Project, project, startWorker } from '../helpers/workers.ts';

const run = promisify(execFile);

let url: string;
let flow: Project;

beforeAll(async () => {
  url = await freshDatabase('cli');
  await createLedger(url);
  flow = await project('cli', url);
  await flow.write(
    'flights.ts',
    `import { definePipeline, month, parquet, postgres } from 'sluice';
     import { z } from 'zod';
     export default definePipeline({
       name: 'by-cli',
       params: z.object({ from: z.iso.date(), to: z.iso.date() }),
       source: parquet({ files: '${FLIGHTS}' }),
       partitionBy: ({ from, to }) => month('date', { from, to }),
       row: z.object({ date: z.date(), delay: z.int(), distance: z.int(), origin: z.string(), destination: z.string() }),
       target: postgres({ table: 'flights', mode: 'replace', scope: 'partition' }),
     });`,
  );
  await startWorker(flow);
}, 60_000);

async function temporal(...args: string[]): Promise<string> {
  const address = ['--address', sharedTemporalAddress(), '--output', 'json'];
  const { stdout } = await run(temporalBinary(), [...args, ...address], { timeout: 60_000 });
  return stdout;
}

const start = (id: string) =>
  temporal(
    ...['workflow', 'start', '--type', 'pipeline', '--task-queue', flow.taskQueue, '--workflow-id', id],
    ...['--input', '{"pipeline":"by-cli","params":{"from":"2001-03-01","to":"2001-04-01"}}'],
  );

const progress = async (id: string): Promise<Progress> => {
  const answer = JSON.parse(await temporal('workflow', 'query', '--workflow-id', id, '--type', 'progress'));
  return answer.queryResult?.[0] ?? answer.queryResult ?? answer;
};

test('start, query progress, pause, resume, list by search attribute, result', async () => {
  const id = `cli-${process.pid}`;
  const gate = await gateAt(url, 'sluice.chunks');
  await gate.close();

  await start(id);
  await gate.waiting();
  expect(await progress(id)).toMatchObject({ pipeline: 'by-cli', status: 'running', stage: 'extract', partitions: { planned: 1 } });

  await temporal('workflow', 'signal', '--workflow-id', id, '--name', 'pause');
  await until('it says paused', async () => (await progress(id)).status === 'paused');
  expect((await progress(id)).note).toContain('resume');
  await gate.open();
  await temporal('workflow', 'signal', '--workflow-id', id, '--name', 'resume');

  const result = JSON.parse(await temporal('workflow', 'result', '--workflow-id', id)) as { result: RunSummary };
  expect(result.result).toMatchObject({ status: 'succeeded', rowsRead: 511_502, rowsLoaded: 511_502, partitions: 1 });
  expect(await query(url, 'select count(*)::int as rows from flights')).toEqual([{ rows: 511_502 }]);

  await until('it is found by its pipeline and status', async () =>
    (await temporal('workflow', 'list', '--query', `SluicePipeline="by-cli" and SluiceStatus="succeeded"`)).includes(id),
  );
});

test('cancel before the commit changes nothing and leaves nothing', async () => {
  const id = `cli-cancelled-${process.pid}`;
  const before = await query(url, 'select count(*)::int as rows from flights');
  const gate = await gateAt(url, 'sluice.chunks');
  await gate.close();
  await start(id);
  await gate.waiting();

  await temporal('workflow', 'cancel', '--workflow-id', id);
  await gate.open();

  await until('it is cancelled', async () => {
    const described = await temporal('workflow', 'describe', '--workflow-id', id);
    return described.includes('WORKFLOW_EXECUTION_STATUS_CANCELED');
  });
  expect(await query(url, 'select count(*)::int as rows from flights')).toEqual(before);
  expect(await stagingTables(url)).toEqual([]);
});

test('a lost workflow task is handed out again after 5 s in a run that Sluice starts, and in all stages; the plain CLI keeps the server’s 10 s', async () => {
  // Given a run of Sluice's client, and one of the plain CLI
  const ids = { sluice: `by-client-${process.pid}`, plain: `by-plain-cli-${process.pid}` };
  const sluice = await connect({ address: sharedTemporalAddress(), taskQueue: flow.taskQueue });
  cleanups.push(() => sluice.close());
  const params = { from: '2001-02-01', to: '2001-03-01' };
  await (await sluice.start('by-cli', { id: ids.sluice, params })).result();
  await start(ids.plain);
  await temporal('workflow', 'result', '--workflow-id', ids.plain);

  // Then each of their workflows says how long its tasks may take
  const secondsOf = async (id: string) => {
    const { raw } = await sluice.temporal.workflow.getHandle(id).describe();
    return Number(raw.executionConfig?.defaultWorkflowTaskTimeout?.seconds);
  };
  const stages = ['extract', 'load'] as const;
  for (const [id, seconds] of [
    [ids.sluice, 5],
    [ids.plain, 10],
  ] as const) {
    expect(await secondsOf(id)).toBe(seconds);
    expect(await Promise.all(stages.map((stage) => secondsOf(stageWorkflowId(id, stage))))).toEqual(stages.map(() => 5));
  }
});
