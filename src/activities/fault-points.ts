/**
 * Named places where a test can make this process fail for real. Off unless SLUICE_FAULTS names one, as
 * `place=action[,place=action]`; each fires once in a process.
 *
 * Actions: `kill` (SIGKILL to this process), `stop` (SIGSTOP), `drop` (the connection breaks before COMMIT is sent), `lose-answer` (it
 * breaks after COMMIT was sent and before its answer is read).
 */
import type { Socket } from 'node:net';
import type { Connection } from '../connectors/postgres/database.ts';

const armed = new Map<string, string>(
  (process.env.SLUICE_FAULTS ?? '')
    .split(',')
    .filter(Boolean)
    .map((entry) => {
      const [place = '', action = ''] = entry.split('=');
      return [place, action];
    }),
);

export async function faultPoint(place: string, client?: Connection): Promise<void> {
  if (armed.size === 0) return;
  const action = armed.get(place);
  if (action === undefined) return;
  armed.delete(place);
  if (action === 'kill') process.kill(process.pid, 'SIGKILL');
  if (action === 'stop') process.kill(process.pid, 'SIGSTOP');
  const stream = (client as unknown as { connection: { stream: Socket } } | undefined)?.connection.stream;
  if (action === 'drop') stream?.destroy();
  if (action === 'lose-answer' && stream) loseAnswer(stream);
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
