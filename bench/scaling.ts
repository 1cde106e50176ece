/** The same run with one worker and with two. */
import type { BenchCase } from './cases.ts';
import { prepareTable } from './database.ts';
import { sideResult } from './measure.ts';
import type { Measurement } from './meter.ts';
import { fillOrders, writeOrderFiles } from './orders-data.ts';
import { ordersFromFiles } from './orders-files.ts';
import { costlyFunction, ordersFromPostgres } from './orders-postgres.ts';
import type { ScalingResult } from './results.ts';
import { type BenchContext, isWanted } from './suites.ts';

const CASES = ['orders, first load, costly row function', 'orders, first load, row function', 'orders, CSV, first load, row schema'];

export async function measureScaling(context: BenchContext): Promise<ScalingResult[]> {
  const { options, stack, measuring, workers, say } = context;
  if (!CASES.some((name) => isWanted(context, name))) return [];
  await fillOrders(stack, options.rows);
  const all = [
    ...costlyFunction(stack, options.rows),
    ...ordersFromPostgres(stack, options.rows),
    ...ordersFromFiles(stack, options.rows, await writeOrderFiles(stack, options.rows)),
  ];
  const measure = async (of: BenchCase, count: number) => {
    const pool = await workers.for(of, count);
    say(`${of.name}, ${count === 1 ? 'one worker' : `${count} workers`}`);
    const measured: Measurement[] = [];
    while (measured.length < options.repeats) {
      await prepareTable(stack.target, of.ours, of.table);
      measured.push((await measuring.sluice(of, pool)).ours);
    }
    return sideResult(measured, of.rows);
  };
  const cases = all.filter(({ name }) => CASES.includes(name) && isWanted(context, name));
  const alone = [];
  for (const of of cases) alone.push({ of, one: await measure(of, 1) });
  const results: ScalingResult[] = [];
  for (const { of, one } of alone) {
    const two = await measure(of, 2);
    results.push({ case: of.name, rows: of.rows, one, two, speedUp: one.seconds / two.seconds });
  }
  return results;
}
