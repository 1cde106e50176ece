/** The same work as a person would do it: psql, a pipe, a few statements. */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { promisify } from 'node:util';
import { byHandWithNode } from './by-hand-node.ts';
import type { HandWork } from './hand-work.ts';

export interface ByHand {
  /** What does it, for people. */
  readonly name: string;
  /** It works in this process itself. */
  readonly inProcess: boolean;
  do(work: HandWork): Promise<void>;
}

/** psql from the PATH, or else Node piping binary COPY untouched. */
export async function findByHand(): Promise<ByHand> {
  try {
    const { stdout } = await promisify(execFile)('psql', ['--version']);
    return { name: stdout.trim(), inProcess: false, do: withPsql };
  } catch {
    return { name: 'Node with pg-copy-streams, COPY piped untouched (there is no psql on the PATH)', inProcess: true, do: byHandWithNode };
  }
}

const PSQL = ['psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1'] as const;

async function withPsql({ from, url, before, copy, after }: HandWork): Promise<void> {
  // psql's own \copy of a file is the same statement, with a file in place of its standard input.
  const copies = 'files' in from ? from.files.map((file) => `\\${copy.replace('from stdin', `from '${file}'`)}`) : [copy];
  const statements = [...before, ...copies, ...after].flatMap((statement) => ['-c', statement]);
  const target = new URL(url);
  const env = {
    ...process.env,
    PGHOST: target.hostname,
    PGPORT: target.port,
    PGUSER: decodeURIComponent(target.username),
    PGPASSWORD: decodeURIComponent(target.password),
    PGDATABASE: target.pathname.slice(1),
    PGOPTIONS: '-c client_min_messages=warning',
  };
  if ('files' in from) {
    const [command, ...args] = PSQL;
    await ended(spawn(command, [...args, ...statements], { env, stdio: ['ignore', 'ignore', 'inherit'] }));
    return;
  }
  // A shell's pipe: no byte passes through this process.
  const source = new URL(from.url);
  const script = `set -o pipefail; PGDATABASE="$SOURCE_DATABASE" ${PSQL.join(' ')} -c "$SOURCE_COPY" | ${PSQL.join(' ')} "$@"`;
  const sourceEnv = { SOURCE_DATABASE: source.pathname.slice(1), SOURCE_COPY: from.copy };
  await ended(
    spawn('bash', ['-c', script, 'bash', ...statements], { env: { ...env, ...sourceEnv }, stdio: ['ignore', 'ignore', 'inherit'] }),
  );
}

async function ended(child: ReturnType<typeof spawn>): Promise<void> {
  const [code, signal] = await once(child, 'exit');
  if (code !== 0) throw new Error(`the work by hand failed: ${child.spawnfile} ended with ${signal ?? code}`);
}
