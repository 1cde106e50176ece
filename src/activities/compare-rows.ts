/** Compares two sides by digests, narrows a difference down to rows, and names some of them. */
import type { ComparableRows, RowHash, RowsDigest, ShownRow } from '../connectors/comparable-rows.ts';
import type { Comparison, Difference, DifferingRow } from '../contracts/verification.ts';

export interface CompareOptions {
  /** The target holds these rows and no others; otherwise it may hold more. */
  readonly exact: boolean;
  readonly key: readonly string[];
  /** How many differing rows to name. */
  readonly name: number;
  readonly partition: string | null;
}

/** A power of two: a difference is looked for in the buckets that differ. */
const BUCKETS = 1_024;
/** Rows of one key hash that are fetched to be shown, on average. */
const SHOWN_PER_KEY = 4;

export async function compareRows(source: ComparableRows, target: ComparableRows, options: CompareOptions): Promise<Comparison> {
  const [expected, found] = await Promise.all([source.digest(), target.digest()]);
  const counts = { sourceRows: expected.rows, targetRows: found.rows };
  if (same(expected, found)) {
    return { ...counts, differences: { onlyInSource: 0, onlyInTarget: 0, different: 0 }, othersRows: 0, named: [] };
  }
  const [ours, theirs] = await Promise.all([source.buckets(BUCKETS), target.buckets(BUCKETS)]);
  const buckets = [...new Set([...ours.keys(), ...theirs.keys()])].filter((bucket) => !same(ours.get(bucket), theirs.get(bucket)));
  const differences = { onlyInSource: 0, onlyInTarget: 0, different: 0 };
  let othersRows = 0;
  const toName: Suspect[] = [];
  const find = (difference: Difference, suspect: Omit<Suspect, 'difference'>, times: number) => {
    differences[difference] += times;
    for (let nth = 0; nth < times && toName.length < options.name; nth += 1) toName.push({ difference, ...suspect });
  };
  for await (const { key, missing, surplus } of unequal(source.hashes(buckets, BUCKETS), target.hashes(buckets, BUCKETS))) {
    let at = 0;
    for (const [record, times] of missing) {
      for (let left = times; left > 0; left -= 1) {
        const other = surplus[at];
        if (!other) {
          find('onlyInSource', { key, source: record, target: null }, left);
          break;
        }
        find('different', { key, source: record, target: other[0] }, 1);
        other[1] -= 1;
        if (other[1] === 0) at += 1;
      }
    }
    for (const [record, times] of surplus.slice(at)) {
      if (options.exact) find('onlyInTarget', { key, source: null, target: record }, times);
      else othersRows += times;
    }
  }
  return { ...counts, differences, othersRows, named: await nameRows(source, target, toName, options) };
}

function same(a: RowsDigest | undefined, b: RowsDigest | undefined): boolean {
  return a?.rows === b?.rows && a?.hashes === b?.hashes;
}

/** A key hash whose records are not the same on both sides, with how often each record is there more often than on the other. */
interface Unequal {
  readonly key: bigint;
  readonly missing: [record: bigint, times: number][];
  readonly surplus: [record: bigint, times: number][];
}

/** Merges two sides that are both in the order of their key hashes. */
async function* unequal(
  source: AsyncIterable<readonly RowHash[]>,
  target: AsyncIterable<readonly RowHash[]>,
): AsyncGenerator<Unequal, void, void> {
  const left = byKey(source);
  const right = byKey(target);
  let [ours, theirs] = await Promise.all([left.next(), right.next()]);
  while (!ours.done || !theirs.done) {
    const a = ours.done ? null : ours.value;
    const b = theirs.done ? null : theirs.value;
    const key = a && (!b || a.key <= b.key) ? a.key : (b?.key ?? 0n);
    const times = new Map<bigint, number>();
    if (a?.key === key) for (const [record, count] of a.records) times.set(record, count);
    if (b?.key === key) for (const [record, count] of b.records) times.set(record, (times.get(record) ?? 0) - count);
    const missing: Unequal['missing'] = [];
    const surplus: Unequal['surplus'] = [];
    for (const [record, count] of times) {
      if (count > 0) missing.push([record, count]);
      if (count < 0) surplus.push([record, -count]);
    }
    if (missing.length > 0 || surplus.length > 0) yield { key, missing, surplus };
    if (a?.key === key) ours = await left.next();
    if (b?.key === key) theirs = await right.next();
  }
}

interface KeyRows {
  readonly key: bigint;
  /** How often each record is there. */
  readonly records: Map<bigint, number>;
}

async function* byKey(pages: AsyncIterable<readonly RowHash[]>): AsyncGenerator<KeyRows, void, void> {
  let open: KeyRows | undefined;
  for await (const page of pages) {
    for (const { key, record } of page) {
      if (open === undefined || open.key !== key) {
        if (open !== undefined) yield open;
        open = { key, records: new Map() };
      }
      open.records.set(record, (open.records.get(record) ?? 0) + 1);
    }
  }
  if (open !== undefined) yield open;
}

/** A row to be named: its record hash on each side, null where it is not there. */
interface Suspect {
  readonly difference: Difference;
  readonly key: bigint;
  readonly source: bigint | null;
  readonly target: bigint | null;
}

async function nameRows(
  source: ComparableRows,
  target: ComparableRows,
  suspects: readonly Suspect[],
  options: CompareOptions,
): Promise<DifferingRow[]> {
  const limit = options.name * SHOWN_PER_KEY;
  const of = (side: 'source' | 'target') => [...new Set(suspects.filter((each) => each[side] !== null).map((each) => each.key))];
  const [ours, theirs] = await Promise.all([show(source, of('source'), limit), show(target, of('target'), limit)]);
  return suspects.map(({ difference, key, ...records }) => {
    const here = records.source === null ? undefined : ours.get(`${key} ${records.source}`);
    const there = records.target === null ? undefined : theirs.get(`${key} ${records.target}`);
    const shown = here ?? there;
    const columns = here && there ? Object.keys(here.values).filter((name) => here.values[name] !== there.values[name]) : [];
    return { partition: options.partition, difference, row: shown ? label(shown, options.key) : '(not found again)', columns };
  });
}

async function show(side: ComparableRows, keys: readonly bigint[], limit: number): Promise<Map<string, ShownRow>> {
  const rows = keys.length > 0 ? await side.show(keys, limit) : [];
  return new Map(rows.map((row) => [`${row.key} ${row.record}`, row]));
}

const LABEL_CHARACTERS = 300;

/** `{"id":"17"}` */
function label({ values }: ShownRow, key: readonly string[]): string {
  const shown = key.length > 0 ? Object.fromEntries(key.map((name) => [name, values[name] ?? null])) : values;
  const text = JSON.stringify(shown);
  return text.length > LABEL_CHARACTERS ? `${text.slice(0, LABEL_CHARACTERS)}…` : text;
}
