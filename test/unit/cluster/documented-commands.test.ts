/** What README and the pages of docs/operations tell people to type: the commands and the parts exist. */
import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { Command } from 'commander';
import { createProgram } from '../../../src/cli/program.ts';
import { readComposeFiles, readEnvFile } from '../../../src/cluster/compose-file.ts';

const ROOT = resolve(__dirname, '../../..');
const PAGES = ['README.md', ...readdirSync(join(ROOT, 'docs/operations')).map((name) => `docs/operations/${name}`)];
const TEXT = PAGES.map((page) => readFileSync(join(ROOT, page), 'utf8')).join('\n');

let parts: string[];
beforeAll(async () => {
  const files = ['docker-compose.yml', 'docker-compose.region.yml'].map((file) => join(ROOT, file));
  parts = (await readComposeFiles(files, await readEnvFile(join(ROOT, 'deploy/regions/a.env')))).map(({ name }) => name);
});

/** All of a pattern's first groups, once each. */
function said(pattern: RegExp): string[] {
  return [...new Set([...TEXT.matchAll(pattern)].map(([, what = '']) => what))];
}

test('commands of sluice', () => {
  const program = createProgram(() => {});
  const named = said(/(?:npx|worker\d) sluice ((?:(?:cluster|region) )?[a-z]+)/g);
  expect(named.length).toBeGreaterThan(15);
  for (const name of named) {
    const found = name
      .split(' ')
      .reduce<Command | undefined>((parent, word) => parent?.commands.find((each) => each.name() === word), program);
    expect([name, found?.name()]).toEqual([name, name.split(' ').at(-1)]);
  }
});

test('parts of sluice cluster', () => {
  const named = said(/sluice cluster (?:kill|start|logs|exec) (?:[ab]-)?([a-z-]+\d?)(?![\w$])/g);
  expect(named).toEqual(expect.arrayContaining(['pg1', 'etcd2', 'target', 'supervisor']));
  for (const name of named) expect([...parts, 'supervisor']).toContain(name);
});

test('parts of docker compose', () => {
  const named = said(
    /docker compose (?:exec|kill|start|restart|logs|up -d|rm -sf|run --rm(?: --use-aliases)?(?: -e \S+)?) ([a-z][a-z-]*\d?)/g,
  );
  expect(named).toEqual(expect.arrayContaining(['pg1', 'worker1', 'etcd2', 'target']));
  for (const name of named) expect(parts).toContain(name);
});

test('tools are called where they are, and not by their bare names', () => {
  // In a block, or as a whole code span with what it does: `patronictl list` alone refers to what was named before.
  const lines = TEXT.split('\n').filter((line) => /^ {4}.*\b(patronictl|etcdctl)\b/.test(line));
  expect(lines.length).toBeGreaterThan(8);
  for (const line of lines)
    expect(line).toMatch(/cluster exec \S+ (patronictl|etcdctl)|docker compose (exec|run --rm) \S+ (patronictl|etcdctl)/);
});
