/** How long it takes until another worker goes on with what a killed one had in hand. */
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import type { WorkerPool } from '../workers/pool.ts';
import type { BenchCase } from './cases.ts';
import { type Content, contentOf } from './content.ts';
import { prepareTable } from './database.ts';
import { requireEqual } from './measure.ts';
import { median, type TakeoverResult } from './results.ts';
import type { BenchStack } from './stack.ts';

const LOOK_MS = 10;
const PATIENCE_MS = 120_000;

interface Kill {
  readonly seconds: number;
  readonly anyChunkSeconds: number;
}

/** @param expected what has to be in the target in the end, kill or not */
export async function measureTakeover(
  stack: BenchStack,
  pool: WorkerPool,
  of: BenchCase,
  kills: number,
  expected: Content,
): Promise<TakeoverResult> {
  const all: Kill[] = [];
  while (all.length < kills) all.push(await killOnce(stack, pool, of, `bench-kill-${all.length}`, expected));
  return {
    kills,
    seconds: median(all.map((kill) => kill.seconds)),
    anyChunkSeconds: median(all.map((kill) => kill.anyChunkSeconds)),
    all: all.map((kill) => kill.seconds),
  };
}

async function killOnce(stack: BenchStack, pool: WorkerPool, of: BenchCase, id: string, expected: Content): Promise<Kill> {
  await pool.ready();
  await prepareTable(stack.target, of.ours, of.table);
  const ledger = new pg.Client({ connectionString: stack.target });
  ledger.on('error', () => {});
  await ledger.connect();
  try {
    const run = await stack.sluice.start(of.pipeline, { params: of.params, id });
    const busy = await until(() => partitionInHand(ledger, id));
    process.kill(busy.pid, 'SIGKILL');
    const killed = performance.now();
    const { rows: before } = await ledger.query('select partition, chunk from sluice.chunks where run_key = $1', [busy.runKey]);
    const known = new Set(before.map(chunkName));

    let anyChunkSeconds: number | null = null;
    const seconds = await until(async () => {
      const { rows } = await ledger.query('select partition, chunk from sluice.chunks where run_key = $1', [busy.runKey]);
      const fresh = rows.filter((row) => !known.has(chunkName(row)));
      const now = (performance.now() - killed) / 1000;
      if (fresh.length > 0) anyChunkSeconds ??= now;
      return fresh.some((row) => busy.partitions.includes(row.partition)) ? now : null;
    });
    await run.result();
    requireEqual(of, await contentOf(stack.target, of.ours), expected);
    return { seconds, anyChunkSeconds: anyChunkSeconds ?? seconds };
  } finally {
    await ledger.end();
  }
}

interface InHand {
  readonly runKey: string;
  /** The worker, and the partitions that it has begun and not ended. */
  readonly pid: number;
  readonly partitions: readonly number[];
}

/** A worker that has recorded a chunk and is in the middle of its partition. */
async function partitionInHand(ledger: pg.Client, workflowId: string): Promise<InHand | null> {
  const ready = await ledger.query(`select to_regclass('sluice.fences') is not null as ready`);
  if (!ready.rows[0]?.ready) return null;
  const { rows } = await ledger.query<{ run_key: string; holder: string; partitions: number[] }>(
    `select f.run_key, f.holder, array_agg(p.partition) as partitions
     from sluice.runs r join sluice.fences f using (run_key) join sluice.partitions p on p.run_key = f.run_key and f.unit = 'copy:' || p.partition
     where r.workflow_id = $1
       and exists (select from sluice.chunks c where c.run_key = p.run_key and c.partition = p.partition)
       and not exists (select from sluice.chunks c where c.run_key = p.run_key and c.partition = p.partition and c.last)
     group by 1, 2 limit 1`,
    [workflowId],
  );
  const [found] = rows;
  return found ? { runKey: found.run_key, pid: Number(found.holder.split('@')[0]), partitions: found.partitions } : null;
}

function chunkName({ partition, chunk }: { partition: number; chunk: number }): string {
  return `${partition}/${chunk}`;
}

async function until<T>(look: () => Promise<T | null>): Promise<T> {
  const end = Date.now() + PATIENCE_MS;
  for (;;) {
    const found = await look();
    if (found !== null) return found;
    if (Date.now() > end) throw new Error(`nothing happened for ${PATIENCE_MS / 1000} s after a worker was killed`);
    await delay(LOOK_MS);
  }
}
