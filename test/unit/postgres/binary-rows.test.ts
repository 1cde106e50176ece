import fc from 'fast-check';
import { checkBinaryRows } from '../../../src/connectors/postgres/binary-rows.ts';
import { RejectedRows } from '../../../src/connectors/rejected-rows.ts';
import type { RejectedRow } from '../../../src/connectors/source.ts';

/** A row of two columns: an int4 or null, and a text or null. */
type Row = readonly [number | null, string | null];

function field(bytes: Buffer | null): Buffer[] {
  const size = Buffer.alloc(4);
  size.writeInt32BE(bytes ? bytes.length : -1);
  return bytes ? [size, bytes] : [size];
}

function rowBytes([number, text]: Row): Buffer {
  const value = Buffer.alloc(4);
  value.writeInt32BE(number ?? 0);
  return Buffer.concat([Buffer.from([0, 2]), ...field(number === null ? null : value), ...field(text === null ? null : Buffer.from(text))]);
}

const HEADER = Buffer.concat([Buffer.from('PGCOPY\n\xff\r\n\0', 'latin1'), Buffer.alloc(8)]);
const TRAILER = Buffer.from([0xff, 0xff]);
const copyOf = (rows: readonly Row[]) => Buffer.concat([HEADER, ...rows.map(rowBytes), TRAILER]);

const checks = {
  looks: [
    {
      name: 'n',
      index: 0,
      nullAllowed: false,
      look: (bytes: Buffer, start: number) => (bytes.readInt32BE(start) < 0 ? 'less than 0' : null),
    },
    { name: 't', index: 1, nullAllowed: true, look: (_: Buffer, start: number, end: number) => (end - start > 3 ? 'longer than 3' : null) },
  ],
  columns: [
    { name: 'n', decode: (bytes: Buffer, start: number) => String(bytes.readInt32BE(start)) },
    { name: 't', decode: (bytes: Buffer, start: number, end: number) => bytes.toString('utf8', start, end) },
  ],
};

const refusal = ([number, text]: Row) => {
  if (number === null) return 'null is not allowed';
  if (number < 0) return 'less than 0';
  return Buffer.byteLength(text ?? '') > 3 ? 'longer than 3' : null;
};

async function check(bytes: Buffer, cuts: readonly number[]): Promise<{ good: Buffer; rejected: RejectedRow[] }> {
  async function* pieces() {
    let from = 0;
    for (const cut of [...new Set(cuts.map((cut) => cut % (bytes.length + 1)))].sort((a, b) => a - b)) {
      if (cut > from) yield bytes.subarray(from, cut);
      from = cut;
    }
    if (from < bytes.length) yield bytes.subarray(from);
  }
  const rejected = new RejectedRows();
  const good: Buffer[] = [];
  for await (const piece of checkBinaryRows(pieces(), checks, 100, rejected)) good.push(piece);
  return { good: Buffer.concat(good), rejected: rejected.rows };
}

const rows = fc.array(fc.tuple(fc.option(fc.integer({ min: -3, max: 9 })), fc.option(fc.string({ maxLength: 6 }))), { maxLength: 30 });

it('cuts out the refused rows and leaves the bytes of the others, wherever the pieces are cut', async () => {
  await fc.assert(
    fc.asyncProperty(rows, fc.array(fc.nat(), { maxLength: 40 }), async (all, cuts) => {
      const { good, rejected } = await check(copyOf(all), cuts);
      expect(good).toEqual(copyOf(all.filter((row) => refusal(row) === null)));
      const expected = all.flatMap((row, index) => {
        const reason = refusal(row);
        return reason === null
          ? []
          : [{ position: 100 + index, reason, record: { n: row[0] === null ? null : String(row[0]), t: row[1] } }];
      });
      expect(
        rejected.map(({ position, reason, record }) => ({ position, reason, record: JSON.parse(record.toString()) as unknown })),
      ).toEqual(expected);
    }),
    { numRuns: 300 },
  );
});

it('takes a value of many pieces without copying them again and again', async () => {
  const bytes = copyOf([
    [1, 'a'],
    [-1, 'x'.repeat(20_000_000)],
    [2, 'b'],
  ]);
  const started = performance.now();
  const cuts = Array.from({ length: Math.ceil(bytes.length / 1000) }, (_, index) => index * 1000);
  const { good, rejected } = await check(bytes, cuts);
  expect(good).toEqual(
    copyOf([
      [1, 'a'],
      [2, 'b'],
    ]),
  );
  expect(rejected).toHaveLength(1);
  expect(performance.now() - started).toBeLessThan(5_000);
});

it.each([
  ['the trailer', copyOf([[1, 'a']]).subarray(0, -2)],
  ['half of a row', copyOf([[1, 'a']]).subarray(0, -4)],
  ['the header', Buffer.alloc(0)],
])('notices that the bytes end without %s', async (_, bytes) => {
  await expect(check(bytes, [])).rejects.toThrow('end in the middle');
});

it('refuses bytes that are no binary COPY, or have other columns', async () => {
  await expect(check(Buffer.from('1\tone\n'.repeat(10)), [])).rejects.toThrow('not the bytes');
  await expect(check(Buffer.concat([HEADER, Buffer.from([0, 3]), Buffer.alloc(12)]), [])).rejects.toThrow('3 values instead of 2');
});
