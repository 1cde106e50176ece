/**
 * Rows that a SQL transform made, judged by the pipeline's `output` schema. They are read, and judged as all rows are, so that the verdict is zod's
 * own and nothing that can be said in a schema has to be said again in SQL. The rows stay as the transform made them.
 */
import { to as copyTo } from 'pg-copy-streams';
import { CopyTextLines } from '../connectors/postgres/copy-text-lines.ts';
import { type Connection, quoteName } from '../connectors/postgres/database.ts';
import type { PlannedColumn } from '../ledger/run-plan.ts';
import { type TakenApart, takeApart, type ZodNode } from '../validation/compile.ts';
import { reasonOfOutput } from '../validation/reasons.ts';
import { createRowParser } from '../validation/row-parser.ts';
import type { RowSchema } from '../validation/row-schema.ts';
import { rowMaker } from '../validation/row-shape.ts';

/** A row that the schema refuses. */
export interface RefusedRow {
  /** Its `ctid`, which stays what it is in this transaction: nobody else changes the rows of a unit. */
  readonly place: string;
  /** Null where the row as a whole is refused. */
  readonly column: string | null;
  readonly reason: string;
}

export interface OutputRequest {
  readonly table: string;
  /** A condition that holds for the rows to judge. */
  readonly only: string;
  readonly output: RowSchema;
  /** Of the table. */
  readonly columns: readonly PlannedColumn[];
}

export async function refusedByOutput(client: Connection, { table, only, output, columns }: OutputRequest): Promise<RefusedRow[]> {
  const judged = judgedColumns(output, columns);
  const parse = createRowParser(output, 'text');
  const makeRow = rowMaker<unknown>(judged.map(({ name }) => name));
  const lines = new CopyTextLines();
  const refused: RefusedRow[] = [];
  const list = ['ctid', ...judged.map(({ text }) => text)].join(', ');
  for await (const piece of client.query(
    copyTo(`copy (select ${list} from ${table} as s where ${only}) to stdout`),
  ) as AsyncIterable<Buffer>) {
    for (const [place, ...texts] of lines.read(piece)) {
      const verdict = parse(makeRow(texts.map((text, nth) => (text === null ? null : (judged[nth]?.value(text) ?? text)))));
      if (!verdict.ok) refused.push({ place: place ?? '', column: verdict.column, reason: reasonOfOutput(verdict.reason) });
    }
  }
  lines.requireComplete();
  return refused;
}

/** A column of the table that the schema judges. */
interface JudgedColumn {
  readonly name: string;
  /** As SQL. */
  readonly text: string;
  /** What zod is given of the text. */
  readonly value: (text: string) => unknown;
}

function judgedColumns(output: RowSchema, columns: readonly PlannedColumn[]): JudgedColumn[] {
  const shape = (output.zod as unknown as ZodNode)._zod.def.shape ?? {};
  return columns.flatMap(({ name, sqlType }) => {
    const schema = shape[name];
    if (!schema) return [];
    const apart = takeApart(name, schema as ZodNode);
    return { name, text: textOf(`s.${quoteName(name)}`, sqlType, apart), value: fromText(sqlType, apart) };
  });
}

const IS_NUMERIC = /^numeric\b(?!.*\[\])/;
const IS_NUMBER = /^(smallint|integer|bigint|real|double precision|numeric)\b(?!.*\[\])/;
const IS_PADDED = /^character\b(?! varying)(?!.*\[\])/;
const IS_JSON = /^jsonb?$/;
/** What may be JSON as text. */
const IS_TEXT = /^(text|character varying|character)\b(?!.*\[\])/;

function textOf(column: string, sqlType: string, { type, raw, uncompiled }: TakenApart): string {
  if (type === 'json' && !raw) {
    // A schema that lets all JSON through lets every value through.
    const isAsItIs = IS_JSON.test(sqlType) || (IS_TEXT.test(sqlType) && uncompiled !== null);
    return isAsItIs ? column : `to_jsonb(${column})::text`;
  }
  // 5.00 is an integer; and blanks at the end of char(n) do not count.
  if (IS_NUMERIC.test(sqlType) && type !== 'string') return `trim_scale(${column})`;
  return IS_PADDED.test(sqlType) ? `${column}::text` : column;
}

/** A schema that takes several types, or makes one of another, is asked about the value, not about its text. */
function fromText(sqlType: string, { raw }: TakenApart): (text: string) => unknown {
  if (raw && sqlType === 'boolean') return (text) => text === 't';
  return raw && IS_NUMBER.test(sqlType) ? Number : (text) => text;
}
