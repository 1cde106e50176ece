/** Pipelines that a test file declares beside the tests that run them: all are there before its one worker starts. */
import { join } from 'node:path';
import type { Client, WorkflowHandle } from '@temporalio/client';
import type { Json, RunSummary } from '../../src/contracts/run.ts';
import { resultOf, startRun } from './runs.ts';
import { freshDatabase, temporalClient } from './servers.ts';
import { type Project, project, startWorker } from './workers.ts';

/** The module of a pipeline, given the rest of its definition. */
export const definition = (name: string, text: string) => `
import { csv, definePipeline, file, jsonl, parquet, postgres } from 'sluice';
import { z } from 'zod';
export default definePipeline({ name: '${name}', ${text} });`;

export interface DeclaredPipelines {
  /** Declares a pipeline by its name and the rest of its definition. */
  pipeline(name: string, text: string): void;
  /**
   * Makes the database, writes what was declared and starts the worker. Call it in beforeAll.
   * @returns the URL of the database
   */
  begin(): Promise<string>;
  /** A file in the folder of the project, which is where the pipelines read. */
  file(name: string): string;
  /** Starts a run, by default of the file's project. */
  start(name: string, params?: Record<string, Json>, of?: Project): Promise<WorkflowHandle>;
  /** Runs a pipeline to its end. */
  run(name: string, params?: Record<string, Json>): Promise<RunSummary>;
}

/** @param name of the project and of the database */
export function declaredPipelines(name: string): DeclaredPipelines {
  const declared: [name: string, text: string][] = [];
  let flow: Project;
  let client: Client;
  const start: DeclaredPipelines['start'] = async (pipeline, params, of = flow) => await startRun(client, of, pipeline, params);
  return {
    pipeline: (pipeline, text) => {
      declared.push([pipeline, text]);
    },
    begin: async () => {
      const url = await freshDatabase(name);
      flow = await project(name, url);
      client = await temporalClient();
      await Promise.all(declared.map(([pipeline, text]) => flow.write(`${pipeline}.ts`, definition(pipeline, text))));
      await startWorker(flow);
      return url;
    },
    file: (path) => join(flow.folder, path),
    start,
    run: async (pipeline, params) => await resultOf(await start(pipeline, params)),
  };
}
