import type { Connection } from '../../../src/connectors/postgres/database.ts';
import { isBehind, SourceWatch } from '../../../src/connectors/postgres/source-watch.ts';

test.each([
  ['0/0', '0/1', true],
  ['0/1', '0/1', false],
  ['0/FFFFFFFF', '1/0', true],
  ['A/0', '9/FFFFFFFF', false],
  ['16/B374D848', '16/B374D849', true],
])('%s is behind %s: %s', (lsn, other, behind) => {
  expect(isBehind(lsn, other)).toBe(behind);
});

test('of what several sessions have seen the latest counts, and the latest that was not replicated', () => {
  const seen = (lsn: string, unreplicated: string | null) => ({ system: '1', lsn, unreplicated });
  expect(new SourceWatch(null).seen).toBeNull();
  expect(new SourceWatch(null, null, seen('0/5', null), undefined).seen).toEqual(seen('0/5', null));
  expect(new SourceWatch(null, seen('0/5', '0/5'), seen('0/9', null), seen('0/7', '0/6')).seen).toEqual(seen('0/9', '0/6'));
});

test('of sessions that are asked at the same time, the one that is heard last may have answered first', async () => {
  const answers: ((lsn: string) => void)[] = [];
  const session = {
    query: () =>
      new Promise((resolve) => {
        answers.push((lsn) => resolve({ rows: [{ standby: false, system: '1', lsn, synchronous: false, late: false }] }));
      }),
  } as unknown as Connection;
  const watch = new SourceWatch(null, { system: '1', lsn: '0/4', unreplicated: '0/4' });
  const both = [watch.unfit(session), watch.unfit(session)];
  answers[1]?.('0/6');
  expect(await both[1]).toBeNull();
  answers[0]?.('0/5');
  expect(await both[0]).toBeNull();
  expect(watch.seen).toEqual({ system: '1', lsn: '0/6', unreplicated: '0/6' });

  // What was heard before it was asked, it has to have.
  const late = watch.unfit(session);
  answers[2]?.('0/5');
  await expect(late).rejects.toMatchObject({ code: 'SourceRewound' });
});

test('what was read from a standby, and the server that became primary never had, is lost', async () => {
  const server = (standby: boolean, lsn: string) =>
    ({ query: async () => ({ rows: [{ standby, system: '1', lsn, synchronous: true, late: false }] }) }) as unknown as Connection;
  const watch = new SourceWatch(null);
  expect(await watch.unfit(server(false, '0/5'))).toBeNull();
  expect(await watch.unfit(server(true, '0/9'))).toBeNull();

  // Another standby that is behind is not read, and the primary is never behind.
  expect(await watch.unfit(server(true, '0/7'))).toContain('has not got as far');
  expect(await watch.unfit(server(false, '0/9'))).toBeNull();
  await expect(watch.unfit(server(false, '0/8'))).rejects.toMatchObject({ code: 'SourceRewound' });

  // Of a synchronous primary, what is flushed and not acknowledged may be lost without a row of it having been seen.
  const other = new SourceWatch(null);
  expect(await other.unfit(server(false, '0/9'))).toBeNull();
  expect(await other.unfit(server(false, '0/8'))).toBeNull();
});
