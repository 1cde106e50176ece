/** What Patroni runs once in a new cluster: the script itself, without a server. */
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

const SCRIPT = resolve(__dirname, '../../../deploy/patroni/post-bootstrap.sh');
let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sluice-post-bootstrap-'));
  writeFileSync(join(folder, 'psql'), `#!/bin/sh\ncat >>${folder}/said\n`);
  chmodSync(join(folder, 'psql'), 0o755);
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function bootstrap(passwords: Record<string, string>) {
  const { status, stderr } = spawnSync('sh', [SCRIPT, 'postgres://'], {
    env: { PATH: `${folder}:${process.env.PATH}`, ...passwords },
    encoding: 'utf8',
  });
  return { status, stderr };
}

test.each(['a/b', 'a#b', 'a?b', 'a@b', 'a%b', 'a b', 'a$b'])(
  'a password that a URL cannot take is refused before anything is made: %s',
  (password) => {
    const { status, stderr } = bootstrap({ TEMPORAL_DB_PASSWORD: 'x', SLUICE_DB_PASSWORD: password });
    expect(status).toBe(1);
    expect(stderr).toMatch(/SLUICE_DB_PASSWORD has other characters than letters.*openssl rand -hex 18/);
    expect(() => readFileSync(join(folder, 'said'))).toThrow('ENOENT');
  },
);

test.each([
  // As `sluice cluster up` makes them.
  ['of both', { TEMPORAL_DB_PASSWORD: 'x', SLUICE_DB_PASSWORD: 'w81Nm9nPk8c8jQ-ZRZ6_GWVM' }, ['temporal', 'etl']],
  // In a region the target is elsewhere.
  ['of Temporal only', { TEMPORAL_DB_PASSWORD: 'x', SLUICE_DB_PASSWORD: '' }, ['temporal']],
])('roles %s are made', (_, passwords, roles) => {
  expect(bootstrap(passwords)).toEqual({ status: 0, stderr: '' });
  const said = readFileSync(join(folder, 'said'), 'utf8');
  expect([...said.matchAll(/create role (\w+)/g)].map(([, role]) => role)).toEqual(roles);
});
