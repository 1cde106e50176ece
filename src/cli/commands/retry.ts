import { answerStarted, attendRun, startedText } from '../attend-run.ts';
import { Interrupted } from '../exit-status.ts';
import { onInterrupt } from '../interrupts.ts';
import { progressDisplay } from '../progress-bar.ts';
import type { Session } from '../session.ts';
import { summaryText } from '../summary.ts';

export interface RetryOptions {
  readonly partition: readonly string[];
  readonly detach?: boolean;
}

/** `sluice retry RUN`: goes on with a run that ended without success, and waits for it. */
export async function retryCommand(session: Session, id: string, options: RetryOptions): Promise<void> {
  const { output } = session;
  await session.withClient(async (sluice) => {
    const run = await sluice.retry(id, { partitions: options.partition });
    if (options.detach) return answerStarted(session, run, (await sluice.startOf(id)).pipeline);
    const interrupts = onInterrupt();
    const display = progressDisplay(output.human);
    display.note(startedText(run));
    try {
      const summary = await attendRun(sluice, run, display, { signal: interrupts.signal, database: await session.database() });
      output.result(summary, () => summaryText(summary));
    } catch (error) {
      if (!(error instanceof Interrupted)) throw error;
      throw new Interrupted(`no longer waiting; ${run.id} goes on. "sluice cancel ${run.id}" ends it.`);
    } finally {
      display.stop();
      interrupts.release();
    }
  });
}
