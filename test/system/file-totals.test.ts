/** `rowsMatchSource` and `sumsMatchSource` over files of records, which are read a second time. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Client } from '@temporalio/client';
import { dirt, realRows, writeDirtyFile } from '../helpers/dirty-file.ts';
import { createLedger } from '../helpers/ledger.ts';
import { failureOf, resultOf, startRun } from '../helpers/runs.ts';
import { freshDatabase, query, temporalClient } from '../helpers/servers.ts';
import { type Project, project, startWorker } from '../helpers/workers.ts';

const PRICES = realRows('stocks.csv');
const HEADER = 'symbol,day,price';
const lines = PRICES.map((row) => row.join(','));

let url: string;
let flow: Project;
let client: Client;

const stocks = (name: string, options: string, price = `z.number().positive().meta({ sqlType: 'numeric(10,2)' })`) => `
definePipeline({
  name: '${name}', row: z.object({ symbol: z.string(), day: z.string(), price: ${price} }), tolerate: { quarantined: '5%' },
  checks: [rowsMatchSource(), sumsMatchSource('price')], ${options}
}),`;

beforeAll(async () => {
  url = await freshDatabase('file_totals');
  await createLedger(url);
  flow = await project('file-totals', url);
  const path = (name: string) => join(flow.folder, name);
  // A twin of a row, a price that is none, one that is refused, and a line that is no record.
  const dirty = [lines[3] ?? '', 'MSFT,Feb 30 2010,n/a', 'IBM,Feb 30 2010,-1.5', 'AAPL'].map((line) => dirt(line, null, ''));
  await writeDirtyFile(path('stocks.csv'), HEADER, lines, dirty);
  const json = (row: readonly string[]) => `{"symbol":"${row[0]}","day":"${row[1]}","price":${row[2]}}`;
  const dirtyJson = [json(PRICES[3] ?? []), json(['MSFT', 'Feb 30 2010', '"n/a"']), json(['IBM', 'Feb 30 2010', '-1.5']), '{"symbol":'];
  await writeDirtyFile(
    path('stocks.jsonl'),
    null,
    PRICES.map(json),
    dirtyJson.map((line) => dirt(line, null, '')),
  );
  await writeFile(path('gap.csv'), `${HEADER}\n${lines.join('\n')}\nMSFT,May 1 2010,\n`);
  await writeFile(path('words.csv'), `${HEADER}\n${lines.join('\n')}\nMSFT,May 1 2010,twelve\n`);
  await flow.write(
    'stocks.ts',
    `import { column, csv, definePipeline, jsonl, postgres, rowsMatchSource, sql, sumsMatchSource } from 'sluice';
     import { z } from 'zod';
     export default [
       ${stocks('csv', `source: csv({ files: 'stocks.csv' }), partitionBy: column('symbol'), target: postgres({ table: 'of_csv', mode: 'upsert', key: ['symbol', 'day'] }),`)}
       ${stocks('jsonl', `source: jsonl({ files: 'stocks.jsonl' }), target: postgres({ table: 'of_jsonl', mode: 'upsert', key: ['symbol', 'day'] }),`)}
       ${stocks(
         'summed',
         `source: csv({ files: 'stocks.csv' }), target: postgres({ table: 'of_sql', mode: 'append' }),
          transform: sql\`select symbol, sum(price) as price from staging group by 1\`,`,
       )}
       ${stocks('filled', `source: csv({ files: 'gap.csv' }), target: postgres({ table: 'filled', mode: 'append' }),`, `z.number().default(12.5).meta({ sqlType: 'numeric(10,2)' })`)}
       ${stocks(
         'spelled',
         `source: csv({ files: 'words.csv' }), target: postgres({ table: 'spelled', mode: 'append' }),`,
         `z.preprocess((text) => (text === 'twelve' ? 12 : Number(text)), z.number()).meta({ sqlType: 'numeric(10,2)' })`,
       )}
     ];`,
  );
  client = await temporalClient();
  await startWorker(flow);
});

test.each(['csv', 'jsonl'])('%s: rows in quarantine are no loss of rows nor of sums', async (kind) => {
  const summary = await resultOf(await startRun(client, flow, kind));
  expect(summary).toMatchObject({ rowsRead: PRICES.length + 4, rowsLoaded: PRICES.length, rowsQuarantined: 4 });
  const cents = PRICES.reduce((sum, row) => sum + Math.round(Number(row[2]) * 100), 0);
  expect(await query(url, `select sum(price)::text as sum from of_${kind}`)).toEqual([{ sum: (cents / 100).toFixed(2) }]);
});

test('what a SQL transform makes is not what was extracted', async () => {
  expect(await resultOf(await startRun(client, flow, 'summed'))).toMatchObject({ rowsLoaded: 5, rowsQuarantined: 3 });
});

test('a value that was made on the way is noticed, and one that does not add up is named with its place', async () => {
  expect(await failureOf(await startRun(client, flow, 'filled'))).toMatchObject({
    type: 'CheckFailed',
    message: expect.stringMatching(
      /^filled: check "sumsMatchSource\(price\)" failed: column "price" adds up to \d+\.\d\d in what was extracted, and to \d+\.\d\d in the source now\. Nothing was changed\./,
    ),
  });
  expect(await failureOf(await startRun(client, flow, 'spelled'))).toMatchObject({
    type: 'NotSummable',
    message: expect.stringMatching(/words\.csv", byte \d+: column "price" is "twelve", which is no number that adds up\./),
  });
});
