import { LISTED_STATUSES, type ListedStatus } from '../../client/run-info.ts';
import { workflowUrl } from '../../client/web-ui.ts';
import { PermanentError } from '../../errors.ts';
import { duration, instant, table } from '../format.ts';
import type { Session } from '../session.ts';

export interface ListOptions {
  readonly pipeline?: string;
  readonly status?: string;
  readonly limit: number;
}

/** `sluice list`: the runs that Temporal knows, most recent first. */
export async function listCommand(session: Session, { pipeline, status, limit }: ListOptions): Promise<void> {
  if (status !== undefined && !isStatus(status)) {
    throw new PermanentError('WrongUsage', `there is no status "${status}". There are: ${LISTED_STATUSES.join(', ')}.`);
  }
  await session.withClient(async (sluice) => {
    const runs = await sluice.list({ pipeline, status, limit });
    const { webUi, namespace } = sluice.settings;
    const seconds = (run: (typeof runs)[number]) => ((run.closedAt ?? new Date()).getTime() - run.startedAt.getTime()) / 1000;
    session.output.result(
      {
        runs: runs.map((run) => ({
          run: run.id,
          executionId: run.runId,
          pipeline: run.pipeline,
          status: run.status,
          startedAt: run.startedAt.toISOString(),
          closedAt: run.closedAt?.toISOString() ?? null,
          webUi: workflowUrl(webUi, namespace, run.id, run.runId),
        })),
      },
      () =>
        runs.length === 0
          ? 'No runs.'
          : table(
              ['RUN', 'PIPELINE', 'STATUS', 'STARTED (UTC)', 'TIME'],
              runs.map((run) => [run.id, run.pipeline, run.status, instant(run.startedAt), duration(seconds(run))]),
            ),
    );
  });
}

function isStatus(text: string): text is ListedStatus {
  return (LISTED_STATUSES as readonly string[]).includes(text);
}
