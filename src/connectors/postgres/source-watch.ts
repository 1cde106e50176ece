/**
 * How far a source has been read, so that no session goes back behind it: neither to a standby that is not there yet, nor to a server that has lost
 * what was read. Kept with the plan and with every chunk, because the next one may be another worker's.
 */
import { PermanentError } from '../../errors.ts';
import type { Connection } from './database.ts';
import { sqlState } from './errors.ts';

export interface SeenPosition {
  /** Made by initdb, and the same on all servers that replicate one another. */
  readonly system: string;
  /** Where the server's log was when rows were read. */
  readonly lsn: string;
  /** The same, of the last time that rows were read which the next primary need not have: there was no synchronous standby, or it was read from one; null where there was none. */
  readonly unreplicated: string | null;
}

interface ServerState {
  readonly standby: boolean;
  readonly system: string;
  readonly lsn: string;
  readonly synchronous: boolean;
  /** Of a standby; null where it is longer than the pipeline allows or nobody knows. */
  readonly late: boolean;
}

/** https://www.postgresql.org/docs/current/functions-admin.html#FUNCTIONS-RECOVERY-CONTROL and #FUNCTIONS-ADMIN-BACKUP */
const STATE = `
  select r.standby, (pg_control_system()).system_identifier::text as system,
         case when r.standby then pg_last_wal_replay_lsn() else pg_current_wal_flush_lsn() end::text as lsn,
         current_setting('synchronous_standby_names') <> '' as synchronous,
         -- All that arrived is replayed, and more would arrive: then it is as fresh as it can be, however long nothing has happened.
         coalesce(r.standby and $1::interval is not null
           and not (pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn() and exists (select from pg_stat_wal_receiver))
           and coalesce(now() - pg_last_xact_replay_timestamp() > $1::interval, true), false) as late
  from (select pg_is_in_recovery() as standby) as r`;

export class SourceWatch {
  readonly #maxLag: string | null;
  #seen: SeenPosition | null;

  /**
   * @param maxLag how far a standby may be behind, as an interval; null for any
   * @param known what earlier sessions have seen
   */
  constructor(maxLag: string | null, ...known: readonly (SeenPosition | null | undefined)[]) {
    this.#maxLag = maxLag;
    this.#seen = known.reduce<SeenPosition | null>((all, each) => latest(all, each ?? null), null);
  }

  /** What this one has seen, and those before it. */
  get seen(): SeenPosition | null {
    return this.#seen;
  }

  /**
   * Why a server cannot be read at the moment; null where it can.
   * @throws PermanentError `SourceRewound` where it never will
   */
  async unfit(client: Connection): Promise<string | null> {
    // What another session sees while this one is asked may be later than its answer.
    const seen = this.#seen;
    const state = await this.#ask(client);
    if (!state) return null;
    if (seen && seen.system !== state.system) throw rewound('it is another database cluster than the run has begun to read');
    if (state.standby) {
      if (seen && isBehind(state.lsn, seen.lsn))
        return `a standby that has not got as far as what was read already (${state.lsn} of ${seen.lsn})`;
      if (state.late) return `a standby more than ${this.#maxLag} behind`;
    } else if (seen?.unreplicated && isBehind(state.lsn, seen.unreplicated)) {
      throw rewound(
        `it stands at ${state.lsn}, and rows were read from it at ${seen.unreplicated}: a failover has lost what came in between`,
      );
    }
    this.#seen = latest(this.#seen, {
      system: state.system,
      lsn: state.lsn,
      // A standby may show what no other one has.
      unreplicated: state.synchronous && !state.standby ? null : state.lsn,
    });
    return null;
  }

  async #ask(client: Connection): Promise<ServerState | null> {
    try {
      return (await client.query<ServerState>(STATE, [this.#maxLag])).rows[0] ?? null;
    } catch (error) {
      // Something that speaks the protocol and has no such functions, or a role that may not call them: nobody can know.
      if (sqlState(error)?.startsWith('42') && this.#maxLag === null) return null;
      throw error;
    }
  }
}

function rewound(what: string): PermanentError {
  return new PermanentError(
    'SourceRewound',
    `The source does not have what the run has read: ${what}. Nothing was committed from it. Start a new run, which reads the source as it is now.`,
  );
}

function latest(one: SeenPosition | null, other: SeenPosition | null): SeenPosition | null {
  if (!one || !other) return one ?? other;
  const [first, last] = isBehind(one.lsn, other.lsn) ? [one, other] : [other, one];
  const { unreplicated } = first;
  const isLater = unreplicated !== null && (last.unreplicated === null || isBehind(last.unreplicated, unreplicated));
  return { ...last, unreplicated: isLater ? unreplicated : last.unreplicated };
}

/** Of two positions in a log, as PostgreSQL writes them: `16/B374D848`. */
export function isBehind(lsn: string, other: string): boolean {
  return bytesOf(lsn) < bytesOf(other);
}

function bytesOf(lsn: string): bigint {
  const [high = '0', low = '0'] = lsn.split('/');
  return (BigInt(`0x${high}`) << 32n) | BigInt(`0x${low}`);
}
