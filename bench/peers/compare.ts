/** Measures other programs on the same servers, and says whether they loaded the same rows. */
import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { describeError } from '../../src/errors.ts';
import type { ByHand } from '../by-hand.ts';
import type { BenchCase } from '../cases.ts';
import { type Content, contentOf } from '../content.ts';
import { databaseOf, execute } from '../database.ts';
import { type MeasuredCase, sideResult } from '../measure.ts';
import { type Measurement, measureClient } from '../meter.ts';
import { ORDER_COLUMNS, ORDER_NAMES } from '../orders.ts';
import type { CaseResult, PeerResult } from '../results.ts';
import type { BenchStack } from '../stack.ts';
import { findDlt } from './dlt.ts';
import { PEERS, type Peer, type PeerName, type PeerPlace, type PeerWork } from './peer.ts';
import { findPgloader } from './pgloader.ts';

type Answer = Pick<CaseResult, 'peers' | 'peerNotes'>;

interface Measured {
  readonly all: readonly Measurement[];
  readonly content: Content;
}

const DATABASE = 'peers';
/** A program that takes so many times as long as Sluice is not measured again: a median would say the same. */
const SLOW = 4;
/** Types of the orders, whatever a program made of them. */
const AS_ORDERS = ORDER_COLUMNS.map(({ name, type }) => `${name}::${type}`).join(', ');

export const NO_PEERS: Answer = { peers: { dlt: null, pgloader: null }, peerNotes: { dlt: 'not asked', pgloader: 'not asked' } };

export class Peers {
  readonly #stack: BenchStack;
  readonly #byHand: ByHand;
  readonly #repeats: number;
  readonly #say: (message: string) => void;
  readonly #found = new Map<PeerName, Peer | string>();
  /** Cases with and without checks are the same work for those who do not check. */
  readonly #measured = new Map<string, Promise<Measured>>();

  private constructor(stack: BenchStack, byHand: ByHand, repeats: number, say: (message: string) => void) {
    this.#stack = stack;
    this.#byHand = byHand;
    this.#repeats = repeats;
    this.#say = say;
  }

  static async find(stack: BenchStack, byHand: ByHand, repeats: number, say: (message: string) => void): Promise<Peers> {
    const peers = new Peers(stack, byHand, repeats, say);
    await execute(stack.target, `create database ${DATABASE}`);
    for (const [name, find] of [
      ['dlt', findDlt],
      ['pgloader', findPgloader],
    ] as const) {
      const found = await find(say).catch((error: unknown) => describeError(error));
      if (typeof found === 'string') say(found);
      peers.#found.set(name, found);
    }
    return peers;
  }

  /** Their names and versions, or why they are not there. */
  titles(): string[] {
    return [...this.#found].map(([name, found]) => (typeof found === 'string' ? `${name}: ${found}` : found.title));
  }

  async compare(of: BenchCase, ours: MeasuredCase): Promise<Answer> {
    const peers: Record<PeerName, PeerResult | null> = { dlt: null, pgloader: null };
    const notes: Record<PeerName, string> = { dlt: '', pgloader: '' };
    for (const name of PEERS) {
      const work = 'source' in of.peers ? of.peers : of.peers[name];
      const peer = this.#found.get(name) ?? 'not there';
      if (typeof work === 'string' || typeof peer === 'string') {
        notes[name] = typeof work === 'string' ? work : (peer as string);
        continue;
      }
      try {
        const { all, content } = await this.#measure(peer, work, ours.ours.seconds * SLOW);
        const { temporalCpuSeconds: _none, ...side } = sideResult(all, of.rows);
        const sameContent = content.rows === ours.content.rows && content.checksum === ours.content.checksum;
        peers[name] = { ...side, overOurs: side.seconds / ours.ours.seconds, sameContent };
        if (!sameContent) notes[name] = `${content.rows} rows, and not the same ones`;
        else notes[name] = [...remarks(peer, work, of), ...(all.length === 1 ? ['measured once'] : [])].join(', ');
      } catch (error) {
        // Another program's failure is no reason to lose what was measured.
        notes[name] = `failed: ${describeError(error).slice(0, 2000)}`;
        this.#say(`${peer.title}, ${of.name}: ${notes[name]}`);
      }
    }
    return { peers, peerNotes: notes };
  }

  #measure(peer: Peer, work: PeerWork, slowSeconds: number): Promise<Measured> {
    const key = JSON.stringify([peer.name, work]);
    const known = this.#measured.get(key) ?? this.#repeat(peer, work, slowSeconds);
    this.#measured.set(key, known);
    return known;
  }

  async #repeat(peer: Peer, work: PeerWork, slowSeconds: number): Promise<Measured> {
    const { postgres, temporal } = this.#stack;
    const target = databaseOf(this.#stack.target, DATABASE);
    const all: Measurement[] = [];
    let content: Content = { rows: 0, checksum: '' };
    while (all.length < this.#repeats && !all.some(({ seconds }) => seconds > slowSeconds)) {
      const folder = await mkdtemp(join(this.#stack.folder, `${peer.name}-`));
      try {
        const place: PeerPlace = { source: this.#stack.source, target, folder, fill: (table) => this.#fill(target, table, work.before) };
        const { table, run } = await peer.prepare(work, place);
        await execute(target, 'vacuum (analyze)', 'checkpoint');
        all.push(await measureClient({ postgres, temporal }, run));
        content = await contentOf(target, `(select ${AS_ORDERS} from ${table})`);
        await execute(target, `drop table ${table}`);
      } finally {
        await rm(folder, { recursive: true, force: true });
      }
    }
    return { all, content };
  }

  async #fill(target: string, table: string, before: string | undefined): Promise<void> {
    if (before === undefined) return;
    await this.#byHand.do({
      // As text: a program may have made other types of the columns.
      from: { url: this.#stack.target, copy: `copy (${before}) to stdout` },
      url: target,
      before: [],
      copy: `copy ${table} (${ORDER_NAMES}) from stdin`,
      after: [],
    });
  }
}

function remarks(peer: Peer, work: PeerWork, of: BenchCase): string[] {
  return [
    ...(of.pipeline.endsWith('-schema') ? ['without checking the rows'] : []),
    ...(work.mode === 'append' && !of.pipeline.endsWith('-chunks') ? ['shows rows before all of them are there'] : []),
    ...(peer.name === 'dlt' && work.source.kind === 'csv' ? ['the files are handed to COPY unread'] : []),
  ];
}
