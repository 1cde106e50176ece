/**
 * Named places where a test can make this process fail for real. Off unless SLUICE_FAULTS names one, as
 * `place[@nth]=action[,...]`; each fires once in a process, at the first (or nth) time that the place is passed.
 *
 * Actions: `kill` (SIGKILL to this process), `stop` (SIGSTOP), `drop` (the connection breaks before COMMIT is sent), `lose-answer` (it
 * breaks after COMMIT was sent and before its answer is read).
 */
import type { Socket } from 'node:net';
import type { Connection } from '../connectors/postgres/database.ts';

interface Fault {
  readonly action: string;
  /** Passes left before it fires. */
  passes: number;
}

const armed = new Map<string, Fault>(
  (process.env.SLUICE_FAULTS ?? '')
    .split(',')
    .filter(Boolean)
    .map((entry) => {
      const [where = '', action = ''] = entry.split('=');
      const [place = '', nth = '1'] = where.split('@');
      return [place, { action, passes: Number(nth) }];
    }),
);

export async function faultPoint(place: string, client?: Connection): Promise<void> {
  const fault = armed.get(place);
  if (!fault) return;
  fault.passes -= 1;
  if (fault.passes > 0) return;
  armed.delete(place);
  if (fault.action === 'kill') process.kill(process.pid, 'SIGKILL');
  if (fault.action === 'stop') process.kill(process.pid, 'SIGSTOP');
  const stream = (client as unknown as { connection: { stream: Socket } } | undefined)?.connection.stream;
  if (fault.action === 'drop') stream?.destroy();
  if (fault.action === 'lose-answer' && stream) loseAnswer(stream);
}

/** The next message is sent, and the socket closed before the answer can come. */
function loseAnswer(stream: Socket): void {
  const write = stream.write.bind(stream);
  stream.pause();
  stream.write = ((...args: Parameters<typeof write>) => {
    const sent = write(...args);
    setImmediate(() => stream.destroy());
    return sent;
  }) as typeof stream.write;
}
