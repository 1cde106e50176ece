/** What it costs to prove that source and target are equal, beside what the load has cost. */
import { execute, prepareTable } from './database.ts';
import { sideResult } from './measure.ts';
import type { Measurement } from './meter.ts';
import { fillOrders, writeOrderFiles } from './orders-data.ts';
import { ordersFromFiles } from './orders-files.ts';
import { ordersFromPostgres } from './orders-postgres.ts';
import type { VerificationResult } from './results.ts';
import { type BenchContext, isWanted } from './suites.ts';

const CASES = [
  'orders, first load',
  'orders, first load, row function',
  'orders, first load, SQL transform',
  'orders, upsert with 1 % changed',
  'orders, CSV, first load, row schema',
  'orders, JSONL, first load',
  'orders, Parquet, first load',
];

export async function measureVerification(context: BenchContext): Promise<VerificationResult[]> {
  const { options, stack, measuring, workers, say } = context;
  if (!CASES.some((name) => isWanted(context, name))) return [];
  await fillOrders(stack, options.rows);
  const files = await writeOrderFiles(stack, options.rows);
  const all = [...ordersFromPostgres(stack, options.rows), ...ordersFromFiles(stack, options.rows, files)];
  const results: VerificationResult[] = [];
  for (const of of all.filter(({ name }) => CASES.includes(name) && isWanted(context, name))) {
    const pool = await workers.for(of);
    say(`${of.name}, verified`);
    const loads: Measurement[] = [];
    const verifications: Measurement[] = [];
    while (loads.length < options.repeats) {
      await prepareTable(stack.target, of.ours, of.table);
      const { ours, runId } = await measuring.sluice(of, pool);
      loads.push(ours);
      verifications.push(await measuring.verification(runId, pool));
      await execute(stack.target, `drop table ${of.ours}`);
    }
    const [load, verification] = [sideResult(loads, of.rows), sideResult(verifications, of.rows)];
    const cpu = ({ cpuSeconds: client, serverCpuSeconds }: typeof load) => client + serverCpuSeconds;
    results.push({
      ...{ case: of.name, rows: of.rows, load, verification },
      ...{ share: verification.seconds / load.seconds, cpuShare: cpu(verification) / cpu(load) },
    });
  }
  return results;
}
