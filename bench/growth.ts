/** The same work at growing numbers of rows: the cost of a row and the memory of a worker are to stay as they are. */
import { fillOrders, writeOrderFiles } from './orders-data.ts';
import { ordersFromFiles } from './orders-files.ts';
import { oneOrder, ordersFromPostgres } from './orders-postgres.ts';
import { NO_PEERS } from './peers/compare.ts';
import type { CaseResult } from './results.ts';
import { withoutOverhead } from './suite-cases.ts';
import { type BenchContext, isWanted, measureCase } from './suites.ts';

const CASES = [
  'orders, first load',
  'orders, upsert into an equal table',
  'orders, CSV, first load, row schema',
  'orders, Parquet, first load',
];

export async function measureGrowth(context: BenchContext): Promise<CaseResult[]> {
  const { options, stack, say } = context;
  const results: CaseResult[] = [];
  for (const rows of options.growthRows) {
    say(`${rows.toLocaleString('en-US')} orders`);
    await fillOrders(stack, rows);
    const files = await writeOrderFiles(stack, rows);
    const all = [...ordersFromPostgres(stack, rows), ...ordersFromFiles(stack, rows, files)];
    const measured = [];
    for (const of of all.filter(({ name }) => CASES.includes(name) && isWanted(context, name)))
      measured.push(await measureCase(context, of));
    const overhead = await measureCase(context, oneOrder(stack));
    for (const each of measured) results.push({ ...each, ratioWithoutOverhead: withoutOverhead(each, overhead), over: null, ...NO_PEERS });
  }
  return results;
}
