/** What the suite keeps: of this call, and of all calls so far. */
import { join } from 'node:path';
import { writeJsonFile } from '../src/local/json-file.ts';
import type { Fault } from './faults/fault.ts';
import { writeDocument } from './report.ts';
import { addTrial, type Call, type Results } from './results.ts';
import type { Trial } from './round.ts';
import { ROOT } from './scene.ts';

export interface Files {
  readonly results: string;
  readonly document: string;
}

export interface SuiteOptions {
  readonly seed: number;
  /** Of the code, where it is known. */
  readonly commit: string | null;
  readonly files: Files;
  /** What earlier calls have found. */
  readonly all: Results;
  readonly say: (message: string) => void;
}

/** What a call finds, and what all calls have found so far: kept after each trial. */
export class Suite {
  readonly files: Files;
  /** Over all calls. */
  all: Results;
  /** Of this call. */
  session: Results;
  failed = false;
  readonly #call: Pick<Call, 'at' | 'seed' | 'commit'>;
  readonly #say: (message: string) => void;

  constructor({ seed, commit, files, all, say }: SuiteOptions) {
    this.#call = { at: new Date().toISOString(), seed, commit };
    this.#say = say;
    this.files = files;
    this.all = all;
    this.session = { ...all, calls: [], faults: {}, load: null, promises: null, regions: null };
  }

  /** Whether this call has shown anything, be it good or bad. */
  get hasTried(): boolean {
    const { faults, load, promises, regions } = this.session;
    return Object.keys(faults).length > 0 || load !== null || promises !== null || regions !== null;
  }

  /** @param problems that belong to all of them; there may be some where nothing broke */
  async add(trials: readonly Trial[], problems: readonly string[], faults: readonly Fault[]): Promise<void> {
    for (const trial of trials) {
      const fault = faults.find(({ name }) => name === trial.fault) as Fault;
      this.session = addTrial(this.session, trial, fault, this.#call);
      this.all = addTrial(this.all, trial, fault, this.#call);
    }
    for (const problem of problems) this.#say(`NOT SURVIVED: ${problem}`);
    this.failed ||= problems.length > 0;
    await this.save();
  }

  async setLoad(load: NonNullable<Results['load']>): Promise<void> {
    await this.#keep({ load }, load.problems);
  }

  async setPromises(promises: NonNullable<Results['promises']>): Promise<void> {
    await this.#keep({ promises }, promises.problems);
  }

  async setRegions(regions: NonNullable<Results['regions']>): Promise<void> {
    await this.#keep(
      { regions },
      regions.steps.flatMap(({ problems }) => problems),
    );
  }

  async #keep(found: Partial<Results>, problems: readonly string[]): Promise<void> {
    this.session = { ...this.session, ...found };
    this.all = { ...this.all, ...found };
    this.failed ||= problems.length > 0;
    await this.save();
  }

  async save(): Promise<void> {
    await writeJsonFile(this.files.results, this.all);
    await writeDocument(this.files.document, join(ROOT, 'docs/reliability.md'), this.all);
  }
}
