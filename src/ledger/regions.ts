/**
 * Which region may write. One row, with a term that grows whenever another region takes over. Workers that know their region hold the row in every
 * writing transaction: those of a region that was replaced change nothing, however late they wake up.
 */
import { type Connection, type Database, quoteText } from '../connectors/postgres/database.ts';
import { endingBlockers } from './fence.ts';

/** A setting of the target's server: in this term its region may be made the primary without having asked the other one. */
export const ALONE_FROM_TERM = 'sluice.alone_from_term';

/** Unit of terms where they are taken from the clock, in seconds since 1970: one that fits into the column for some centuries. */
const TERM_SECONDS = 10;

export interface ActiveRegion {
  readonly region: string;
  /** 1 at first; what takes over later has a greater one. */
  readonly term: number;
  readonly since: Date;
}

/** What every writing transaction of a region's worker begins with. It fails with `RegionSuperseded` where another region has taken over. */
export function regionGuard(region: string): string {
  return `select sluice.require_region(${quoteText(region)})`;
}

/** Null where there is one region only, or nothing was set up yet. */
export async function readActiveRegion(database: Pick<Database, 'query'>): Promise<ActiveRegion | null> {
  const [there] = await database.query<{ there: boolean }>(`select to_regclass('sluice.regions') is not null as there`);
  if (!there?.there) return null;
  const [row] = await database.query<ActiveRegion>('select region, term, since from sluice.regions');
  return row ?? null;
}

/** Names the region that is active at first; leaves it as it is where there is one. */
export async function nameFirstRegion(database: Database, region: string): Promise<void> {
  await database.transaction(async (client) => {
    await client.query('insert into sluice.regions (term, region) values (1, $1) on conflict do nothing', [region]);
  });
}

/**
 * From here on only workers of this region write; sessions of others that are in the middle of a transaction are ended. May be called again.
 * The term grows whenever that changes anything, and to no less than what the clock says: of two regions that took over without knowing of each other,
 * the later one has the greater term. It waits for no standby: the other region may be the one that was lost.
 *
 * @param also a region that has handed over: Temporal there knows that it is not active, and what its workers have in hand is fenced as any attempt is
 * @returns its term
 */
export async function takeTerm(database: Database, region: string, also: string | null): Promise<number> {
  return await database.transaction(
    async (client) => {
      // The row alone is never free: who asks to share it passes those that wait for it. For the table all stand in line.
      await endingBlockers(database, client, () => client.query('lock table sluice.regions in exclusive mode'));
      return await raiseTerm(client, region, also);
    },
    { lockTimeoutMs: 0 },
  );
}

async function raiseTerm(client: Connection, region: string, also: string | null): Promise<number> {
  await client.query('set local synchronous_commit = local');
  const { rows } = await client.query<{ term: number }>(
    `insert into sluice.regions as r (term, region, also) values (1, $1, $2)
     on conflict (id) do update set
       term = case when (r.region, r.also) is distinct from ($1, $2) or r.term::text = current_setting('${ALONE_FROM_TERM}', true)
         then greatest(r.term + 1, extract(epoch from now())::bigint / ${TERM_SECONDS}) else r.term end,
       region = $1, also = $2, since = case when r.region = $1 then r.since else now() end
     returning term`,
    [region, also],
  );
  return rows[0]?.term ?? 1;
}
