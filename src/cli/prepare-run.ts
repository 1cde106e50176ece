/** Checks a run before anything is started: the pipeline's name and its parameters. */
import { stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { Json } from '../contracts/run.ts';
import { loadPipelines, requirePipeline } from '../pipeline/modules.ts';
import { paramsFromText } from '../pipeline/params-from-text.ts';
import type { Session } from './session.ts';

export interface PreparedRun {
  readonly pipeline: string;
  readonly params: { readonly [name: string]: Json };
}

/**
 * Makes the parameters of their texts, and checks name and parameters against the module. Where there is no folder of pipelines here,
 * the plan checks them on a worker.
 *
 * @throws PermanentError `UnknownPipeline`, `InvalidDefinition`, `WrongUsage`
 */
export async function prepareRun(session: Session, name: string, paramTexts: readonly string[]): Promise<PreparedRun> {
  if (!(await stat(resolve(session.cwd, session.pipelines)).catch(() => null))) {
    return { pipeline: name, params: paramsFromText(paramTexts, null) };
  }
  const loaded = await loadPipelines({ dir: session.pipelines, cwd: session.cwd });
  const { pipeline } = requirePipeline(loaded, name);
  for (const problem of loaded.problems) session.output.note(`Not used: ${problem.error.message}`);
  const params = paramsFromText(paramTexts, pipeline);
  pipeline.bind(params);
  return { pipeline: name, params };
}
