/** A gate in the database: what writes to a table waits there until the test lets it through. */
import pg from 'pg';
import { cleanups } from './cleanup.ts';
import { until } from './wait.ts';

export interface Gate {
  close(): Promise<void>;
  open(): Promise<void>;
  /** Waits until so many transactions stand at the gate, their statement done and nothing committed. */
  waiting(sessions?: number): Promise<void>;
}

let gates = 0;

/**
 * A gate, open at first, that every INSERT (or other `events`) into `table` passes at its end.
 *
 * @param options `when` makes it a gate for single rows: a condition on `new`; `timing` whether such a row is in the table then
 */
export async function gateAt(
  url: string,
  table: string,
  options: { when?: string; events?: string; timing?: 'before' | 'after' } = {},
): Promise<Gate> {
  const { when, events = 'insert', timing = 'after' } = options;
  const key = newKey();
  const client = await connected(url);
  await client.query(
    `create function pass_gate_${key}() returns trigger language plpgsql as
     $$ begin perform pg_advisory_xact_lock_shared(${key}); return new; end $$`,
  );
  const each = when === undefined ? 'for each statement' : `for each row when (${when})`;
  await client.query(`create trigger gate_${key} ${timing} ${events} on ${table} ${each} execute function pass_gate_${key}()`);
  return gateOn(client, key);
}

/** A gate that every statement of this kind (`ALTER TABLE`) passes at its end. */
export async function gateAtCommand(url: string, tag: string): Promise<Gate> {
  const key = newKey();
  const client = await connected(url);
  await client.query(
    `create function pass_gate_${key}() returns event_trigger language plpgsql as
     $$ begin perform pg_advisory_xact_lock_shared(${key}); end $$`,
  );
  await client.query(`create event trigger gate_${key} on ddl_command_end when tag in ('${tag}') execute function pass_gate_${key}()`);
  return gateOn(client, key);
}

function newKey(): number {
  gates += 1;
  return 7_000_000 + gates;
}

async function connected(url: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url, application_name: 'gate' });
  client.on('error', () => {});
  await client.connect();
  cleanups.push(() => client.end());
  return client;
}

function gateOn(client: pg.Client, key: number): Gate {
  return {
    close: async () => {
      await client.query('select pg_advisory_lock($1)', [key]);
    },
    open: async () => {
      await client.query('select pg_advisory_unlock_all()');
    },
    waiting: async (sessions = 1) => {
      await until(`${sessions} sessions wait at the gate`, async () => {
        const { rows } = await client.query<{ waiting: number }>(
          `select count(*)::int as waiting from pg_locks
           where locktype = 'advisory' and objid = $1 and not granted and database = (select oid from pg_database where datname = current_database())`,
          [key],
        );
        return (rows[0]?.waiting ?? 0) >= sessions;
      });
    },
  };
}
