import type { VerifyOptions } from '../../client/sluice-client.ts';
import type { Difference, VerifySummary } from '../../contracts/verification.ts';
import { EXIT, type ExitStatus, Interrupted } from '../exit-status.ts';
import { awaitResult } from '../follow-run.ts';
import { count, plural, table } from '../format.ts';
import { onInterrupt } from '../interrupts.ts';
import type { Session } from '../session.ts';

/** `sluice verify RUN`: compares what a run should have loaded with the target. Ends with 1 where they differ. */
export async function verifyCommand(session: Session, id: string, options: VerifyOptions): Promise<ExitStatus> {
  return await session.withClient(async (sluice) => {
    const interrupts = onInterrupt();
    try {
      const verification = await sluice.verify(id, options);
      session.output.note(`${verification.id} started.${verification.webUi ? ` Web UI: ${verification.webUi}` : ''}`);
      const summary = await awaitResult(verification, interrupts.signal).catch((error: unknown) => {
        if (!(error instanceof Interrupted)) throw error;
        throw new Interrupted(`no longer waiting; ${verification.id} goes on. "sluice cancel ${verification.id}" ends it.`);
      });
      session.output.result({ ...summary, webUi: verification.webUi }, () => verifyText(summary));
      return summary.equal ? EXIT.done : EXIT.failed;
    } finally {
      interrupts.release();
    }
  });
}

const WHERE: Record<Difference, string> = {
  onlyInSource: 'only in the source',
  onlyInTarget: 'only in the target',
  different: 'different',
};

/** What was found, in plain words. */
export function verifyText(summary: VerifySummary): string {
  const { onlyInSource, onlyInTarget, different } = summary.differences;
  const lines: [string, string][] = [
    ['compared', `${summary.compared}: ${plural(summary.sourceRows, 'row')} in ${plural(summary.partitions, 'partition')}`],
  ];
  if (summary.othersRows > 0)
    lines.push(['others', `${plural(summary.othersRows, 'row')} of the target are not this run's; they are not compared`]);
  if (!summary.equal) {
    lines.push([
      'differ',
      `${count(onlyInSource)} only in the source, ${count(onlyInTarget)} only in the target, ${count(different)} different`,
    ]);
  }
  for (const each of summary.stopped) lines.push(['not done', `${each.name}: ${each.reason}`]);
  const how = summary.equal ? 'equal' : onlyInSource + onlyInTarget + different > 0 ? 'different' : 'not all could be compared';
  const parts = [[`${summary.run}: ${how}`, ...lines.map(([name, said]) => `  ${name.padEnd(10)}  ${said}`)].join('\n')];
  if (summary.differing.length > 0) {
    parts.push(
      table(
        ['PARTITION', 'SOURCE', 'TARGET', 'ONLY IN SOURCE', 'ONLY IN TARGET', 'DIFFERENT'],
        summary.differing.map((each) => [
          each.name,
          each.sourceRows,
          each.targetRows,
          each.onlyInSource,
          each.onlyInTarget,
          each.different,
        ]),
      ) + more(summary.differingPartitions - summary.differing.length, 'partition'),
    );
  }
  if (summary.named.length > 0) {
    parts.push(
      table(
        ['ROW', 'WHERE', 'COLUMNS'],
        summary.named.map((each) => [each.row, WHERE[each.difference], each.columns.join(', ')]),
      ) + more(onlyInSource + onlyInTarget + different - summary.named.length, 'row'),
    );
  }
  return parts.join('\n\n');
}

function more(left: number, noun: string): string {
  return left > 0 ? `\n... and ${plural(left, noun)} more` : '';
}
