/** What most crash tests begin with: flights to move, what must arrive, and a database with a ledger and an observer. */

import type { WorkflowHandle } from '@temporalio/client';
import { expectFlights, flights, flightsIn, type Span } from './flights.ts';
import { observe } from './observer.ts';
import { resultOf } from './runs.ts';
import { freshDatabase, query } from './servers.ts';
import { type Project, project, startWorker, type TestWorker } from './workers.ts';

/** 62,000 flights, one of them with a delay that the row schema refuses. */
export const FOUR_DAYS: Span = { from: '2001-02-01', to: '2001-02-05' };
export const ROWS_IN_CHUNK = 1_000;

export interface Scene {
  readonly url: string;
  readonly flow: Project;
  readonly rows: number;
  readonly refused: number;
}

export interface SceneOptions {
  readonly span?: Span;
  readonly rowsInChunk?: number;
  /** never: the rows go through staging. @default auto: built beside the target, which is not there yet */
  readonly swap?: 'auto' | 'never';
  /** More of the definition of the pipeline. */
  readonly extra?: string;
  /** Of the Temporal server. @default the shared one */
  readonly address?: string;
  /** URL of the PostgreSQL server. @default the shared one */
  readonly server?: string;
}

interface Template {
  readonly url: string;
  readonly rows: number;
  readonly refused: number;
}

// Tests that run side by side do not wait for beforeAll.
const templates = new Map<string, Promise<Template>>();

async function makeTemplate(span: Span, server: string | undefined): Promise<Template> {
  const url = await freshDatabase('template', { server });
  const expected = await expectFlights(url, span);
  await observe(url);
  return { url, ...expected };
}

/** A database of its own and the pipeline `flights`. */
export async function scene(name: string, options: SceneOptions = {}): Promise<Scene> {
  const { span = FOUR_DAYS, rowsInChunk = ROWS_IN_CHUNK, swap, extra, address, server } = options;
  const key = JSON.stringify([span, server]);
  const made = templates.get(key) ?? makeTemplate(span, server);
  templates.set(key, made);
  const template = await made;
  const url = await freshDatabase(name, { template: template.url, server });
  const flow = await project(name, url, { address });
  await flow.write('flights.ts', flights('flights', { span, rowsInChunk, swap, extra }));
  return { url, flow, rows: template.rows, refused: template.refused };
}

export async function startWorkers(count: number, flow: Project, faults?: string): Promise<TestWorker[]> {
  return await Promise.all(Array.from({ length: count }, () => startWorker(flow, { faults })));
}

/** The run ends by itself, and target, quarantine and summary are exactly right. */
export async function expectExactlyRight({ url, rows, refused }: Scene, run: WorkflowHandle): Promise<void> {
  expect(await resultOf(run)).toMatchObject({ rowsRead: rows, rowsLoaded: rows - refused, rowsQuarantined: refused });
  await expectTargetRight({ url, refused });
  expect(await query(url, `select tablename from pg_tables where schemaname = 'sluice_staging'`)).toEqual([]);
}

export async function expectTargetRight({ url, refused }: Pick<Scene, 'url' | 'refused'>): Promise<void> {
  expect(await flightsIn(url, 'flights')).toEqual(await flightsIn(url, 'expected'));
  expect(await query(url, 'select count(*)::int as rows from sluice.quarantine')).toEqual([{ rows: refused }]);
}
