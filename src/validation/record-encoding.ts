/** How records become lines of COPY, from the row schema and the columns of the table: the one place that decides it for every path. */
import { type ColumnAsGiven, columnsAsGiven } from './columns-as-given.ts';
import type { ValueOrigin } from './convert.ts';
import { createRowEncoder, type EncodableColumn } from './copy-text.ts';
import type { EncodeOptions } from './encode-records.ts';
import { createRowParser } from './row-parser.ts';
import type { RowSchema } from './row-schema.ts';

/** A column of the table that rows are written to. */
export interface StagedColumn extends Pick<EncodableColumn, 'name' | 'sqlType' | 'enumLabels'> {
  /** @default false */
  readonly notNull?: boolean | undefined;
}

/** A column of the table, and what is stored of a value. */
export interface StoredColumn extends EncodableColumn {
  /** Null where what the row schema made of a value is stored. */
  readonly asGiven: ColumnAsGiven | null;
}

export interface RecordEncodingRequest {
  /** Of the records as received; null where they have none. */
  readonly schema: RowSchema | null;
  readonly staged: readonly StagedColumn[];
  /** What the values are as received. */
  readonly from: ValueOrigin;
  readonly rowFunction?:
    | {
        readonly transform: NonNullable<EncodeOptions['transform']>;
        /** Of the rows that it gives. */
        readonly schema: RowSchema | null;
        /** Whether they are judged by it. */
        readonly judged: boolean;
      }
    | undefined;
  /** Every line begins with the record's position. */
  readonly withPosition: boolean;
}

/** What every path does with a record that is looked at by itself. */
export function recordEncoding({ schema, staged, from, rowFunction, withPosition }: RecordEncodingRequest): EncodeOptions {
  const columns = rowFunction ? encodableColumns(rowFunction.schema, staged, from) : storedColumns(schema, staged, from);
  const asGiven = columns.flatMap((column) => column.asGiven ?? []);
  return {
    parse: schema ? createRowParser(schema, from) : undefined,
    transform: rowFunction?.transform,
    // JavaScript's own values: what the function makes, and what it passes on of a parsed row.
    output: rowFunction?.judged && rowFunction.schema ? createRowParser(rowFunction.schema, 'typed') : undefined,
    encode: createRowEncoder(columns),
    asGiven: asGiven.length > 0 ? asGiven : undefined,
    withPosition,
    columns: staged.map((column) => column.name),
  };
}

/** The columns of {@link recordEncoding} where there is no row function. */
export function storedColumns(schema: RowSchema | null, staged: readonly StagedColumn[], from: ValueOrigin): StoredColumn[] {
  const kept = schema ? columnsAsGiven(schema, staged, from) : [];
  return encodableColumns(schema, staged, from).map((column) => {
    const asGiven = kept.find(({ name }) => name === column.name) ?? null;
    return { ...column, asGiven, jsonText: asGiven?.isJsonText || column.jsonText };
  });
}

/** A string for a json column is JSON text where the source gives text, and a JSON string where the schema made it a value. */
function encodableColumns(schema: RowSchema | null, staged: readonly StagedColumn[], from: ValueOrigin) {
  return staged.map((column): StoredColumn => {
    const declared = schema?.columns.find((each) => each.name === column.name);
    const jsonText = declared ? declared.type !== 'json' : from === 'text';
    return { ...column, notNull: column.notNull ?? false, jsonText, asGiven: null };
  });
}
