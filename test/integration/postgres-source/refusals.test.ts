/** What is wrong with a source is said at once, with what to do. */
import { columnsOf, never, plan, readCopies, type SourceServer, startSourceServer } from './source-server.ts';

let server: SourceServer;
beforeAll(async () => {
  server = await startSourceServer();
  await server.sql(`create schema app; create table app.orders (id int primary key, secret text, note text); create sequence numbers;
    create role reader login password 'pw'; create table open_orders (id int primary key)`);
});
afterAll(async () => {
  await server.stop();
});
afterEach(async () => {
  await server.requireNoLeaks();
});

const asReader = () => server.urlOf('reader', 'pw');

it('names the schema in which a missing table is', async () => {
  await expect(server.source({ table: 'orders' }).describe(never)).rejects.toMatchObject({
    kind: 'permanent',
    code: 'MissingTable',
    message: expect.stringContaining('there is no table "orders". There is "app.orders": name it with its schema.'),
  });
  await expect(server.source({ table: 'nowhere.orders' }).describe(never)).rejects.toMatchObject({ code: 'MissingTable' });
  await expect(server.source({ table: 'numbers' }).describe(never)).rejects.toMatchObject({ code: 'MissingTable' });
});

it('says which grant is missing', async () => {
  await expect(server.source({ table: 'open_orders', url: asReader() }).describe(never)).rejects.toMatchObject({
    kind: 'permanent',
    code: 'MissingGrant',
    message: expect.stringContaining('GRANT SELECT ON "open_orders" TO "reader"'),
  });
  await expect(server.source({ table: 'app.orders', url: asReader() }).describe(never)).rejects.toMatchObject({ code: 'MissingGrant' });
});

it('reads with grants on columns alone, and names a column that is not granted', async () => {
  await server.sql('grant usage on schema app to reader; grant select (id, note) on app.orders to reader');
  const source = server.source({ table: 'app.orders', url: asReader() });
  const columns = await columnsOf(source);
  expect(columns.map(({ name }) => name)).toEqual(['id', 'note']);
  expect(
    await readCopies(source, 'binary', { columns }, async (chunk) => {
      for await (const _ of chunk.bytes);
    }),
  ).toMatchObject({ chunks: 1 });
  await expect(plan(source, { columns: [...columns, { name: 'secret', sqlType: 'text' }] })).rejects.toMatchObject({
    code: 'MissingGrant',
    message: expect.stringContaining('GRANT SELECT ("secret") ON "app"."orders" TO "reader"'),
  });
});

it('names the columns that there are', async () => {
  const message = expect.stringContaining('has no column "nota". It has: id, secret, note.');
  await expect(plan(server.source({ table: 'app.orders' }), { columns: [{ name: 'nota', sqlType: 'text' }] })).rejects.toMatchObject({
    code: 'MissingColumn',
    message,
  });
  await expect(server.source({ table: 'app.orders', key: ['nota'] }).describe(never)).rejects.toMatchObject({
    code: 'MissingColumn',
    message,
  });
});

it('says what is wrong with a query', async () => {
  await expect(server.source({ query: 'select * frm app.orders' }).describe(never)).rejects.toMatchObject({
    kind: 'permanent',
    code: 'InvalidSql',
  });
  await expect(server.source({ query: 'select * from gone' }).describe(never)).rejects.toMatchObject({
    kind: 'permanent',
    code: 'MissingTable',
  });
});

it('says that a password is wrong, and waits for a server that is away', async () => {
  await expect(server.source({ table: 'app.orders', url: server.urlOf('reader', 'no') }).describe(never)).rejects.toMatchObject({
    kind: 'permanent',
    code: 'AuthenticationFailed',
  });
  await expect(server.source({ table: 'app.orders', url: 'postgres://u:p@127.0.0.1:1/db' }).describe(never)).rejects.toMatchObject({
    kind: 'transient',
    blameless: true,
  });
});

it('stops a partition whose column changed its type since the plan', async () => {
  await server.sql('create table moving (id int primary key, v bigint); insert into moving values (1, 2)');
  const source = server.source({ table: 'moving' });
  const columns = await columnsOf(source);
  await server.sql('alter table moving alter v type timestamptz using now()');
  await expect(
    readCopies(source, 'binary', { columns }, async (chunk) => {
      for await (const _ of chunk.bytes);
    }),
  ).rejects.toMatchObject({
    kind: 'permanent',
    code: 'SourceChanged',
    message: expect.stringContaining('"v"'),
  });
});

it('notices that the table is gone', async () => {
  await server.sql('create table going (id int primary key)');
  const source = server.source({ table: 'going' });
  const [partition] = await plan(source, { columns: [{ name: 'id', sqlType: 'integer' }] });
  await source.verify(partition as never, never);
  await server.sql('drop table going');
  await expect(source.verify(partition as never, never)).rejects.toMatchObject({ code: 'MissingTable' });
});
