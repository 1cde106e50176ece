/** The records of chunks: each once, and each from where the one before it ended, whatever has become of fences. */
import { Database } from '../../src/connectors/postgres/database.ts';
import { type ChunkRecord, readPartitionState, recordChunk } from '../../src/ledger/chunks.ts';
import { type Fence, holdFence, takeOver } from '../../src/ledger/fence.ts';
import { forgetStaging } from '../../src/ledger/runs.ts';
import { createLedger } from '../helpers/ledger.ts';
import { freshDatabase, query } from '../helpers/servers.ts';

const RUN = 'run';
const UNIT = 'copy:0';
let database: Database;

beforeAll(async () => {
  const url = await freshDatabase('chunk_records');
  await createLedger(url);
  await query(url, `insert into sluice.runs (run_key, workflow_id, pipeline, fingerprint, plan) values ('${RUN}', 'w', 'p', 'f', '{}')`);
  database = new Database('target', url, { max: 2 });
});
afterAll(() => database.close());

const at = (offset: number) => ({ file: 0, offset });

async function record(fence: Fence, chunk: number, from: ChunkRecord['from'], position: ChunkRecord['position']): Promise<void> {
  const counts = { last: false, rowsRead: 1, rowsStaged: 1, rowsQuarantined: 0, logged: false };
  await database.transaction(async (client) => {
    await holdFence(client, fence);
    await recordChunk(client, fence, { partition: 0, chunk, from, position, ...counts });
  });
}

test('one that slept while its run was cancelled and started again does not go on behind chunks that are not its own', async () => {
  // Given an attempt that has recorded two chunks, and sleeps between two transactions
  const sleeper = await takeOver(database, RUN, UNIT, 'sleeper');
  await record(sleeper, 0, null, at(100));
  await record(sleeper, 1, at(100), at(200));

  // And that the run is cancelled and starts again meanwhile, with chunks of other sizes: its fences were forgotten, and count from one again
  await database.query(`update sluice.runs set status = 'cancelled'`);
  await forgetStaging(database, RUN);
  await database.query(`update sluice.runs set status = 'running'`);
  const other = await takeOver(database, RUN, UNIT, 'other');
  expect(other.epoch).toBe(sleeper.epoch);
  await record(other, 0, null, at(150));
  await record(other, 1, at(150), at(300));

  // When the sleeper goes on, then neither its next chunk is recorded, nor one that is there already
  await expect(record(sleeper, 2, at(200), at(300))).rejects.toMatchObject({ code: 'StagingLost' });
  await expect(record(sleeper, 1, at(100), at(200))).rejects.toMatchObject({ code: 'StagingLost' });

  // And the other one does not notice
  await record(other, 2, at(300), at(450));
  expect(await readPartitionState(database, RUN, 0)).toMatchObject({ next: 3, rowsRead: 3, position: at(450) });
});
