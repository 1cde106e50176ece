import { answerStarted, waitForRun } from '../attend-run.ts';
import { prepareRun } from '../prepare-run.ts';
import type { Session } from '../session.ts';

export interface RunOptions {
  readonly param: readonly string[];
  readonly id?: string;
  readonly detach?: boolean;
}

/** `sluice run PIPELINE`: starts a run on the workers that are there, and waits for it. */
export async function runCommand(session: Session, pipeline: string, options: RunOptions): Promise<void> {
  const prepared = await prepareRun(session, pipeline, options.param);
  await session.withClient(async (sluice) => {
    const run = await sluice.start(pipeline, { params: prepared.params, id: options.id });
    if (options.detach) return answerStarted(session, run, pipeline);
    await waitForRun(session, sluice, run, `"sluice show ${run.id}" says how it goes, "sluice cancel ${run.id}" ends it.`);
  });
}
