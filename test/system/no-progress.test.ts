/** Bounded is lack of progress: a partition that fails again and again, with both systems reached, stops and says so. */
import { failureOf, startRun } from '../helpers/runs.ts';
import { freshDatabase, query, temporalClient } from '../helpers/servers.ts';
import { project, startWorker } from '../helpers/workers.ts';

test('a partition that moves nothing stops with its last failure; the others are committed; a retry finishes it once mended', async () => {
  // given a target whose domain breaks down, rather than refuses, on the rows of one region
  const url = await freshDatabase('stuck');
  await query(
    url,
    `create function moody(v text) returns boolean language plpgsql as
     $$ begin if v like 'south%' then raise exception 'no mood for the south'; end if; return true; end $$;
     create domain mood as text check (moody(value));
     create table places (id int primary key, region text not null, note text not null);
     insert into places select g, (array['north', 'south', 'west'])[1 + g % 3], (array['north', 'south', 'west'])[1 + g % 3] || g from generate_series(1, 300) g;
     create table kept (id int primary key, region text not null, note mood not null)`,
  );
  const flow = await project('stuck', url);
  await flow.write(
    'stuck.ts',
    `import { column, definePipeline, postgres } from 'sluice';
     export default definePipeline({
       name: 'stuck',
       source: postgres({ table: 'places' }),
       partitionBy: column('region'),
       target: postgres({ table: 'kept', mode: 'upsert', key: ['id'] }),
       commit: 'partition',
     });`,
  );
  await startWorker(flow);
  const client = await temporalClient();

  // when it runs
  const run = await startRun(client, flow, 'stuck');
  const failure = await failureOf(run);

  // then that partition says what is wrong, and the others are in
  expect(failure.type).toBe('PartitionsStopped');
  expect(failure.message).toMatch(/1 of 3 partitions stopped: partition region=south: .*8 attempts in a row.*no mood for the south/s);
  expect(await query(url, 'select region, count(*)::int as rows from kept group by 1 order by 1')).toEqual([
    { region: 'north', rows: 100 },
    { region: 'west', rows: 100 },
  ]);

  // and once the cause is gone a retry brings the rest
  await query(url, 'create or replace function moody(v text) returns boolean language sql as $$ select true $$');
  const { firstExecutionRunId } = await run.describe().then((it) => ({ firstExecutionRunId: it.raw.workflowExecutionInfo?.firstRunId }));
  const again = await client.workflow.start('pipeline', {
    taskQueue: flow.taskQueue,
    workflowId: run.workflowId,
    args: [{ pipeline: 'stuck', retry: { runKey: `${run.workflowId}/${firstExecutionRunId}` } }],
  });
  expect(await again.result()).toMatchObject({ status: 'succeeded' });
  expect(await query(url, 'select count(*)::int as rows from kept')).toEqual([{ rows: 300 }]);
});
