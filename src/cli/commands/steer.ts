import { PermanentError } from '../../errors.ts';
import type { Session } from '../session.ts';

export type Steering = 'pause' | 'resume' | 'cancel';

const SAID: Record<Steering, (run: string) => string> = {
  pause: (run) => `${run} pauses after the chunks in flight. "sluice resume ${run}" lets it go on.`,
  resume: (run) => `${run} goes on.`,
  cancel: (run) =>
    `${run} has been asked to stop. A commit that is under way is not interrupted, else the target stays as it was; "sluice show ${run}" says how it ended.`,
};

/** `sluice pause|resume|cancel RUN` */
export async function steerCommand(session: Session, how: Steering, run: string): Promise<void> {
  await session.withClient(async (sluice) => {
    const { status } = await sluice.info(run);
    if (!['planning', 'running', 'paused'].includes(status)) {
      const next = status === 'succeeded' ? 'There is nothing to do.' : `"sluice retry ${run}" goes on with it.`;
      throw new PermanentError('RunEnded', `${run} has ended: it is ${status}. ${next}`);
    }
    await sluice.get(run)[how]();
    session.output.result({ run, asked: how }, SAID[how](run));
  });
}
