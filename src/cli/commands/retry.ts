import { answerStarted, waitForRun } from '../attend-run.ts';
import type { Session } from '../session.ts';

export interface RetryOptions {
  readonly partition: readonly string[];
  readonly detach?: boolean;
}

/** `sluice retry RUN`: goes on with a run that ended without success, and waits for it. */
export async function retryCommand(session: Session, id: string, options: RetryOptions): Promise<void> {
  await session.withClient(async (sluice) => {
    const run = await sluice.retry(id, { partitions: options.partition });
    if (options.detach) return answerStarted(session, run, (await sluice.startOf(id)).pipeline);
    await waitForRun(session, sluice, run, `"sluice cancel ${run.id}" ends it.`);
  });
}
