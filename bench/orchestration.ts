/** What a run costs beside the rows: its start, and each further partition. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { execute } from './database.ts';
import { measureDevStart } from './dev-start.ts';
import { fillOrders } from './orders-data.ts';
import { oneOrder } from './orders-postgres.ts';
import { median, type OrchestrationResult } from './results.ts';
import { type BenchStack, CLI } from './stack.ts';
import type { BenchContext } from './suites.ts';

const TARGET = 'partitions_sluice';
const LOOK_MS = 20;

export async function measureOrchestration({ options, stack, workers, say }: BenchContext): Promise<OrchestrationResult> {
  await fillOrders(stack, 1);
  await workers.for(oneOrder(stack));
  const [few, many] = [options.furtherPartitions + 1, options.partitions];
  for (const rows of [few, many]) {
    const table = `tiny_${rows}`;
    await execute(
      stack.source,
      `drop table if exists ${table}`,
      `create table ${table} (id int primary key, name text not null)`,
      `insert into ${table} select g, 'row ' || g from generate_series(1, ${rows}) g`,
      `vacuum (analyze) ${table}`,
    );
  }

  say('sluice run of one small partition');
  const starts: { firstChunk: number; whole: number }[] = [];
  await runOnCommandLine(stack, few, few); // the first one warms the caches of modules
  while (starts.length < options.repeats) starts.push(await runOnCommandLine(stack, few, few));

  say(`runs of 1 and of ${few} partitions`);
  const pairs: number[] = [];
  while (pairs.length < options.repeats) {
    const { seconds: one } = await runOfPartitions(stack, few, few);
    const { seconds: all } = await runOfPartitions(stack, few, 1);
    pairs.push((all - one) / options.furtherPartitions);
  }

  say(`a run of ${many} partitions`);
  const { copiedAt } = await runOfPartitions(stack, many, 1);
  const tenth = Math.max(Math.floor(many / 10), 2);
  const rate = (times: readonly number[]) => (times.length - 1) / Math.max((times.at(-1) ?? 0) - (times[0] ?? 0), 0.001);

  say('sluice dev');
  const devReady = await measureDevStart(stack.folder, options.repeats, !options.quick);
  const firstChunk = starts.map((each) => each.firstChunk);
  const onePartition = starts.map((each) => each.whole);
  return {
    firstChunkSeconds: median(firstChunk),
    onePartitionSeconds: median(onePartition),
    furtherPartitionSeconds: median(pairs),
    furtherPartitions: options.furtherPartitions,
    steady: {
      partitions: copiedAt.length,
      firstPerSecond: rate(copiedAt.slice(0, tenth)),
      lastPerSecond: rate(copiedAt.slice(-tenth)),
    },
    devReadySeconds: median(devReady),
    all: { firstChunk, onePartition, devReady },
  };
}

let runs = 0;

/** A run started here: how long it took, and when each partition was copied, in seconds, ascending. */
async function runOfPartitions(stack: BenchStack, rows: number, rowsEach: number): Promise<{ seconds: number; copiedAt: number[] }> {
  await execute(stack.target, `drop table if exists ${TARGET}`);
  const id = `bench-partitions-${++runs}`;
  const partitions = Math.ceil(rows / rowsEach);
  const chunks = await watchChunks(stack, id, partitions);
  const began = performance.now();
  const run = await stack.sluice.start('partitions', { id, params: { table: `tiny_${rows}`, rows: rowsEach } });
  const summary = await run.result();
  const seconds = (performance.now() - began) / 1000;
  if (summary.rowsLoaded !== rows || summary.partitions !== partitions) {
    throw new Error(`${id} loaded ${summary.rowsLoaded} rows in ${summary.partitions} partitions, not ${rows} in ${partitions}`);
  }
  return { seconds, copiedAt: await chunks.stop() };
}

/** A run of one partition by `sluice run`: seconds from the start of its process to the first chunk, and to its end. */
async function runOnCommandLine(stack: BenchStack, rows: number, rowsEach: number): Promise<{ firstChunk: number; whole: number }> {
  await execute(stack.target, `drop table if exists ${TARGET}`);
  const id = `bench-partitions-${++runs}`;
  const chunks = await watchChunks(stack, id, 1);
  const began = Date.now();
  const params = ['--param', `table=tiny_${rows}`, '--param', `rows=${rowsEach}`];
  const child = spawn(process.execPath, [CLI, 'run', 'partitions', '--id', id, ...params], {
    cwd: stack.folder,
    env: stack.env,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const said = Promise.all([text(child.stdout), text(child.stderr)]);
  const [code] = await once(child, 'exit');
  const whole = (Date.now() - began) / 1000;
  if (code !== 0) throw new Error(`sluice run ended with ${code}: ${(await said).join('\n')}`);
  const [first = Number.NaN] = await chunks.stop();
  return { firstChunk: first - began / 1000, whole };
}

/** When chunks were recorded, by the database's clock, which is this machine's: looked at while the run goes on, for its end removes them. */
async function watchChunks(stack: BenchStack, workflowId: string, partitions: number): Promise<{ stop(): Promise<number[]> }> {
  const client = new pg.Client({ connectionString: stack.target });
  await client.connect();
  let seen: number[] = [];
  let stopped = false;
  const watching = (async () => {
    while (!stopped && seen.length < partitions) {
      // Many partitions take their time, and each look costs the server more.
      await delay(Math.max(LOOK_MS, partitions / 20));
      const { rows } = await client.query<{ at: number }>({
        text: `select extract(epoch from c.recorded_at)::float8 as at from sluice.chunks c join sluice.runs r using (run_key)
               where r.workflow_id = $1 order by 1`,
        values: [workflowId],
      });
      if (rows.length > seen.length) seen = rows.map((row) => row.at);
    }
  })();
  return {
    stop: async () => {
      stopped = true;
      try {
        await watching;
        return seen;
      } finally {
        await client.end();
      }
    },
  };
}
