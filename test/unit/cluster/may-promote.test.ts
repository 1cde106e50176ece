/** Whether the target of a region may become a primary, as Patroni asks: the script itself, with the answers of both servers made up. */
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

const SCRIPT = resolve(__dirname, '../../../deploy/patroni/may-promote.sh');
let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'sluice-may-promote-'));
  // Answers with what the environment has for the server that is asked; fails where it has nothing.
  const psql = `#!/bin/sh
cat >/dev/null
case "$*" in *haproxy1*) answer=$THERE ;; *) answer=$HERE ;; esac
[ "$answer" != fails ] || exit 2
echo "$answer"`;
  writeFileSync(join(folder, 'psql'), psql);
  chmodSync(join(folder, 'psql'), 0o755);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test.each([
  ['the other one is a primary of an older term', 'standby 2 never', 'primary 1 never', null],
  ['the other one is a standby of the same term', 'standby 2 never', 'standby 2 never', null],
  ['a person has decided that it goes on alone', 'standby 2 2', 'fails', null],
  ['the other one is a primary of the same term', 'standby 2 never', 'primary 2 never', /the other region has one, of term 2/],
  ['the other one has a newer term', 'standby 2 never', 'standby 3 never', /a newer term, 3/],
  ['the other one cannot be asked', 'standby 2 never', 'fails', /cannot be asked whether it has taken over/],
  ['that was decided for an earlier term', 'standby 3 2', 'fails', /cannot be asked whether it has taken over/],
  ['neither can be asked', 'fails', 'fails', /its own server cannot be asked/],
  ['its own server says nothing', '', 'fails', /its own server gives no term/],
  ['the other one gives half an answer', 'standby 2 never', 'primary', /cannot be asked whether it has taken over/],
])('%s', (_, here, there, refused) => {
  const { status, stderr } = spawnSync('sh', [SCRIPT], {
    env: { PATH: `${folder}:${process.env.PATH}`, HERE: here, THERE: there, SLUICE_DB_PASSWORD: 'x' },
    encoding: 'utf8',
  });
  expect({ status, stderr }).toEqual(refused ? { status: 1, stderr: expect.stringMatching(refused) } : { status: 0, stderr: '' });
});
