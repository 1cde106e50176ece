import { type Explanation, explainPlan } from '../../activities/explain-plan.ts';
import { loadPipelines, requirePipeline } from '../../pipeline/modules.ts';
import { paramsFromText } from '../../pipeline/params-from-text.ts';
import { table } from '../format.ts';
import type { Session } from '../session.ts';

export interface ExplainOptions {
  readonly param: readonly string[];
}

/** `sluice explain PIPELINE`: what a run would do, and where. Nothing is started or written. */
export async function explainCommand(session: Session, name: string, options: ExplainOptions): Promise<void> {
  const loaded = await loadPipelines({ dir: session.pipelines, cwd: session.cwd });
  const { pipeline } = requirePipeline(loaded, name);
  for (const problem of loaded.problems) session.output.note(`Not used: ${problem.error.message}`);
  const bound = pipeline.bind(paramsFromText(options.param, pipeline));
  const database = await session.database();
  const explanation = await explainPlan(bound, { ...session.env, SLUICE_DATABASE_URL: database?.url });
  session.output.result({ ...explanation, params: bound.params }, () => text(explanation));
}

function text(plan: Explanation): string {
  const { source, transfer, transform, checks, target, written } = plan;
  const lines: [string, string][] = [['source', source.label]];
  lines.push(['reads', `${source.reads.join(', ')}; partitions: ${source.partitions}`]);
  if (source.window) lines.push(['window', source.window]);
  lines.push(['transfer', transfer.says]);
  if (transfer.whyNotFaster) lines.push(['', `not faster: ${transfer.whyNotFaster}`]);
  if (plan.wholeRow) lines.push(['row', `the row as a whole needs zod: ${plan.wholeRow}`]);
  if (transform) lines.push(['transform', transform]);
  for (const [index, check] of checks.entries()) lines.push([index === 0 ? 'checks' : '', `${check.name}, in the ${check.runs}`]);
  const key = target.key ? ` by (${target.key.join(', ')})` : '';
  lines.push(['target', `${target.label} table ${target.table}, ${target.exists ? 'which exists' : 'which will be created'}`]);
  lines.push(['mode', `${target.mode}${key}, committed by ${target.commit}`]);
  lines.push(['written', written.says]);
  if (written.whyNotFaster) lines.push(['', `not faster: ${written.whyNotFaster}`]);
  const said = [plan.pipeline, ...lines.map(([name, said]) => `  ${name.padEnd(10)}  ${said}`)].join('\n');
  return [said, columnsTable(plan)].join('\n\n');
}

/** Columns of the row schema and of the target, side by side where they have the same name. */
function columnsTable({ row, target }: Explanation): string {
  const names = [...new Set([...row.map((each) => each.column), ...target.columns.map((each) => each.name)])];
  const cells = names.map((name) => {
    const read = row.find((each) => each.column === name);
    const loaded = target.columns.find((each) => each.name === name);
    return [
      name,
      read?.type ?? '-',
      read ? read.checkedBy : '-',
      read?.needsZod ?? '',
      loaded ? `${loaded.sqlType}${loaded.notNull ? ' not null' : ''}` : '-',
    ];
  });
  return table(['COLUMN', 'ROW SCHEMA', 'CHECKED BY', 'NEEDS ZOD FOR', 'TARGET'], cells);
}
