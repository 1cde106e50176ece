/** What the suite has found, over all its calls. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { z } from 'zod';
import { readJsonFile } from '../src/local/json-file.ts';
import type { Fault } from './faults/fault.ts';
import type { Trial } from './round.ts';

const counted = z.object({
  says: z.string(),
  promisedSeconds: z.number().nullable().default(null),
  tried: z.int(),
  survived: z.int(),
  recoverSeconds: z.array(z.number()),
  rowsLost: z.number(),
  rowsDuplicated: z.number(),
  rowsCopiedAgain: z.number(),
});

const load = z.object({
  at: z.string(),
  /** At once. */
  runs: z.int(),
  /** In all. */
  ended: z.int(),
  workers: z.int(),
  kills: z.int(),
  survived: z.boolean(),
  /** Whatever is not as promised, in whole sentences. */
  problems: z.array(z.string()),
  seconds: z.number(),
  rowsPerSecond: z.number(),
  /** Of a worker that lives on: the median of each tenth of the time; of any, at most. */
  workerBytes: z.object({ tenths: z.array(z.number()), most: z.number() }),
  /** Of the small runs, from start to end: one alone, the median of as many without large ones, median and worst beside large ones. */
  smallRunSeconds: z.object({ alone: z.number(), among: z.number(), median: z.number(), worst: z.number() }),
});

const promises = z.object({
  at: z.string(),
  /** Whatever is not as promised, in whole sentences. */
  problems: z.array(z.string()),
  faults: z.array(
    z.object({
      fault: z.string(),
      says: z.string(),
      /** From the breakage until all that was in hand has moved on. */
      recoverSeconds: z.array(z.number()),
      /** From the breakage until another PostgreSQL takes writes, in the same order; empty where none has to. */
      failoverSeconds: z.array(z.number()),
      /** What is promised; after the failover, where there is one. */
      promisedSeconds: z.number(),
    }),
  ),
});

const regions = z.object({
  at: z.string(),
  steps: z.array(
    z.object({
      step: z.string(),
      /** In whole sentences; empty where all is right. */
      problems: z.array(z.string()),
      /** What was promised of a time that took longer. It does not fail the suite: the machine may have other things to do. */
      late: z.string().optional(),
      /** From the command to the first new chunk or commit. */
      recoverSeconds: z.number().nullable(),
      /** The longest time in which no run moved. */
      stallSeconds: z.number().nullable(),
      /** Rows that were committed, and were not there after the move. */
      rowsLost: z.number().nullable(),
      /** Rows that the command said to be lost. */
      rowsSaidLost: z.number().nullable(),
    }),
  ),
});

const call = z.object({
  at: z.string(),
  /** Null where nobody knows any more. */
  seed: z.int().nullable(),
  /** Of the code that was broken; with `+` where it was changed since. Null where it is not known. */
  commit: z.string().nullable(),
  tried: z.int(),
  survived: z.int(),
});

const results = z.object({
  version: z.string(),
  at: z.string(),
  /** The calls that broke something, in their order. */
  calls: z.array(call),
  faults: z.record(z.string(), counted),
  // Figures of another kind are no figures any more.
  load: load.nullable().catch(null),
  promises: promises.nullable().default(null),
  regions: regions.nullable().default(null),
});

export type Counted = z.infer<typeof counted>;
export type Results = z.infer<typeof results>;
export type Call = z.infer<typeof call>;
export type LoadResult = z.infer<typeof load>;
export type PromisesResult = z.infer<typeof promises>;
export type RegionsResult = z.infer<typeof regions>;

const EMPTY = { tried: 0, survived: 0, recoverSeconds: [], rowsLost: 0, rowsDuplicated: 0, rowsCopiedAgain: 0 };

/** What the suite itself changes. */
const WRITTEN = ['chaos/results.json', 'docs/reliability.md'];

/** The commit that a folder is at, with `+` where files were changed since; null where git does not know. */
export async function commitOf(folder: string): Promise<string | null> {
  const git = (...args: string[]) => promisify(execFile)('git', ['-C', folder, ...args]).then(({ stdout }) => stdout.trim());
  try {
    const changed = await git('status', '--porcelain', '--untracked-files=no', '.', ...WRITTEN.map((path) => `:!${path}`));
    return `${await git('rev-parse', '--short', 'HEAD')}${changed === '' ? '' : '+'}`;
  } catch {
    return null;
  }
}

/** Those of this version; none where there are none. */
export async function readResults(file: string, version: string): Promise<Results> {
  const fresh: Results = { version, at: '', calls: [], faults: {}, load: null, promises: null, regions: null };
  const known = await readJsonFile(file, results, fresh);
  return known.version === version ? known : fresh;
}

/** @param call in which it was tried: one of those that are known, by the time of its beginning, or another one */
export function addTrial(all: Results, trial: Trial, fault: Fault, call: Pick<Call, 'at' | 'seed' | 'commit'>): Results {
  const { says } = fault;
  const promisedSeconds = fault.promisedSeconds ?? null;
  const before: Counted = all.faults[trial.fault] ?? { ...EMPTY, says, promisedSeconds };
  const { recoverSeconds, rowsLost, rowsDuplicated, rowsCopiedAgain, problems } = trial;
  const after: Counted = {
    says,
    promisedSeconds,
    tried: before.tried + 1,
    survived: before.survived + (problems.length === 0 ? 1 : 0),
    recoverSeconds: [...before.recoverSeconds, ...(recoverSeconds === null ? [] : [Math.round(recoverSeconds * 100) / 100])],
    rowsLost: before.rowsLost + rowsLost,
    rowsDuplicated: before.rowsDuplicated + rowsDuplicated,
    rowsCopiedAgain: before.rowsCopiedAgain + rowsCopiedAgain,
  };
  const { tried, survived } = all.calls.find(({ at }) => at === call.at) ?? { tried: 0, survived: 0 };
  const counted = { ...call, tried: tried + 1, survived: survived + (problems.length === 0 ? 1 : 0) };
  return {
    ...all,
    at: new Date().toISOString(),
    calls: [...all.calls.filter(({ at }) => at !== call.at), counted],
    faults: { ...all.faults, [trial.fault]: after },
  };
}
