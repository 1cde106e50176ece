import pc from 'picocolors';
import { findings } from '../doctor-checks.ts';
import { EXIT, type ExitStatus } from '../exit-status.ts';
import type { Session } from '../session.ts';

const MARKS = { ok: pc.green('ok'), warning: pc.yellow('warning'), missing: pc.red('missing') };

/** `sluice doctor`: what is reachable, in which version, what is missing and how to get it. */
export async function doctorCommand(session: Session): Promise<ExitStatus> {
  const found = await findings(session);
  const missing = found.filter((each) => each.status === 'missing').length;
  session.output.result({ healthy: missing === 0, findings: found }, () =>
    found
      .map(({ what, status, found: text, advice }) => {
        const mark = MARKS[status] + ' '.repeat(9 - status.length);
        return `${mark}${what.padEnd(19)}${text}${advice ? `\n${' '.repeat(28)}${advice}` : ''}`;
      })
      .join('\n'),
  );
  return missing > 0 ? EXIT.usage : EXIT.done;
}
