/** The same run with one worker and with two. */
import { prepareTable } from './database.ts';
import { sideResult } from './measure.ts';
import type { Measurement } from './meter.ts';
import { fillOrders, writeOrderFiles } from './orders-data.ts';
import { ordersFromFiles } from './orders-files.ts';
import { ordersFromPostgres } from './orders-postgres.ts';
import type { ScalingResult } from './results.ts';
import { type BenchContext, isWanted } from './suites.ts';

const CASES = ['orders, first load, row function', 'orders, CSV, first load, row schema'];

export async function measureScaling(context: BenchContext): Promise<ScalingResult[]> {
  const { options, stack, measuring, workers, say } = context;
  if (!CASES.some((name) => isWanted(context, name))) return [];
  await fillOrders(stack, options.rows);
  const all = [
    ...ordersFromPostgres(stack, options.rows),
    ...ordersFromFiles(stack, options.rows, await writeOrderFiles(stack, options.rows)),
  ];
  const results: ScalingResult[] = [];
  for (const of of all.filter(({ name }) => CASES.includes(name) && isWanted(context, name))) {
    const measure = async (count: number) => {
      const pool = await workers.for(of, count);
      say(`${of.name}, ${count === 1 ? 'one worker' : `${count} workers`}`);
      const measured: Measurement[] = [];
      while (measured.length < options.repeats) {
        await prepareTable(stack.target, of.ours, of.table);
        measured.push((await measuring.sluice(of, pool)).ours);
      }
      return sideResult(measured, of.rows);
    };
    const one = await measure(1);
    const two = await measure(2);
    results.push({ case: of.name, rows: of.rows, one, two, speedUp: one.seconds / two.seconds });
  }
  return results;
}
