import { bareType, binaryFit, type PostgresColumn, type PostgresType } from '../../../src/connectors/postgres/types.ts';

it.each([
  ['varchar(20)', 'character varying'],
  ['VARCHAR', 'character varying'],
  ['timestamp(3) with time zone', 'timestamp with time zone'],
  ['timestamptz', 'timestamp with time zone'],
  ['numeric(12,2)[]', 'numeric[]'],
  ['int4[][]', 'integer[]'],
  ['bit(4)', 'bit'],
  ['interval year to month', 'interval year to month'],
  ['"Mood"', '"Mood"'],
  ['app.mood', 'app.mood'],
])('writes %s as %s', (given, expected) => {
  expect(bareType(given)).toBe(expected);
});

function type(name: string, castName: string, extra: Partial<PostgresType> = {}): PostgresType {
  return { oid: 25, name, castName, kind: 'b', isArray: false, hasBinary: true, inner: null, ...extra };
}
function column(of: PostgresType, sqlType = of.castName): PostgresColumn {
  return { name: 'c', type: of, sqlType, notNull: false, generated: false, enumLabels: null, readable: true };
}

const int4 = type('int4', 'integer');
const mood = type('mood', 'mood', { oid: 20_000, kind: 'e' });
const domain = type('positive', 'positive', { oid: 20_001, kind: 'd', inner: int4 });

it.each<[string, PostgresColumn, string, string]>([
  ['the same type', column(int4), 'int', 'untouched'],
  ['another length', column(type('varchar', 'character varying'), 'character varying(5)'), 'varchar(9)', 'untouched'],
  ['a text into another', column(type('varchar', 'character varying'), 'character varying(5)'), 'text', 'untouched'],
  ['a wider number', column(int4), 'bigint', 'cast'],
  ['a narrower number', column(type('int8', 'bigint')), 'integer', 'no'],
  ['a float of the other size, whose text is another number', column(type('float4', 'real')), 'double precision', 'no'],
  ['an enum', column(mood), 'mood', 'untouched'],
  ['an enum into a text', column(mood), 'text', 'untouched'],
  ['an array of an enum', column(type('_mood', 'mood[]', { oid: 20_002, isArray: true, inner: mood })), 'mood[]', 'no'],
  ['an array of integers', column(type('_int4', 'integer[]', { oid: 1007, isArray: true, inner: int4 })), 'int[]', 'untouched'],
  ['a domain', column(domain), 'positive', 'untouched'],
  ['a domain into its base', column(domain), 'integer', 'untouched'],
  ['an array of a domain', column(type('_positive', 'positive[]', { oid: 20_003, isArray: true, inner: domain })), 'positive[]', 'no'],
  ['a name of a table', column(type('regclass', 'regclass')), 'regclass', 'no'],
  ['a composite', column(type('pair', 'pair', { oid: 20_004, kind: 'c' })), 'pair', 'no'],
  ['a type without binary functions', column(type('aclitem', 'aclitem', { hasBinary: false })), 'aclitem', 'no'],
  ['a type of an extension', column(type('hstore', 'hstore', { oid: 20_005 })), 'hstore', 'no'],
])('%s', (_, source, target, fit) => {
  expect(binaryFit(source, target)).toBe(fit);
});
