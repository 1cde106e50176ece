import { z } from 'zod';
import type { Pipeline } from '../../pipeline/definition.ts';
import { loadPipelines } from '../../pipeline/modules.ts';
import { EXIT, type ExitStatus } from '../exit-status.ts';
import { clip, table } from '../format.ts';
import type { Session } from '../session.ts';

/** `sluice pipelines`: what there is to run here, and the modules that cannot be used. */
export async function pipelinesCommand(session: Session): Promise<ExitStatus> {
  const { pipelines, problems } = await loadPipelines({ dir: session.pipelines, cwd: session.cwd });
  const all = [...pipelines.values()].sort((a, b) => (a.pipeline.name < b.pipeline.name ? -1 : 1));
  session.output.result(
    {
      pipelines: all.map(({ pipeline, file, fingerprint }) => ({
        pipeline: pipeline.name,
        description: pipeline.description,
        params: paramsOf(pipeline),
        file,
        fingerprint,
      })),
      problems: problems.map(({ file, error }) => ({ file, code: error.code, message: error.message })),
    },
    () =>
      [
        all.length === 0
          ? `No pipelines in ${session.pipelines}. "sluice init" writes one.`
          : table(
              ['PIPELINE', 'PARAMETERS', 'FILE', 'DESCRIPTION'],
              all.map(({ pipeline, file }) => [
                pipeline.name,
                Object.keys(pipeline.params.shape).join(', ') || '-',
                file,
                clip(pipeline.description, 70),
              ]),
            ),
        ...problems.map(({ error }) => `Not used: ${error.message}`),
      ].join('\n'),
  );
  return problems.length > 0 ? EXIT.usage : EXIT.done;
}

/** JSON schema of each parameter. */
function paramsOf(pipeline: Pipeline): Record<string, unknown> {
  try {
    const schema = z.toJSONSchema(pipeline.params, { io: 'input', unrepresentable: 'any' }) as { properties?: Record<string, unknown> };
    return schema.properties ?? {};
  } catch {
    return Object.fromEntries(Object.keys(pipeline.params.shape).map((name) => [name, {}]));
  }
}
