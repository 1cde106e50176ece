import { answerStarted, attendRun, startedText } from '../attend-run.ts';
import { Interrupted } from '../exit-status.ts';
import { onInterrupt } from '../interrupts.ts';
import { prepareRun } from '../prepare-run.ts';
import { progressDisplay } from '../progress-bar.ts';
import type { Session } from '../session.ts';
import { summaryText } from '../summary.ts';

export interface RunOptions {
  readonly param: readonly string[];
  readonly id?: string;
  readonly detach?: boolean;
}

/** `sluice run PIPELINE`: starts a run on the workers that are there, and waits for it. */
export async function runCommand(session: Session, pipeline: string, options: RunOptions): Promise<void> {
  const prepared = await prepareRun(session, pipeline, options.param);
  const { output } = session;
  await session.withClient(async (sluice) => {
    const run = await sluice.start(pipeline, { params: prepared.params, id: options.id });
    if (options.detach) return answerStarted(session, run, pipeline);
    const interrupts = onInterrupt();
    const display = progressDisplay(output.human);
    display.note(startedText(run));
    try {
      const summary = await attendRun(sluice, run, display, { signal: interrupts.signal, database: await session.database() });
      output.result(summary, () => summaryText(summary));
    } catch (error) {
      if (!(error instanceof Interrupted)) throw error;
      throw new Interrupted(
        `no longer waiting; ${run.id} goes on. "sluice show ${run.id}" says how it goes, "sluice cancel ${run.id}" ends it.`,
      );
    } finally {
      display.stop();
      interrupts.release();
    }
  });
}
