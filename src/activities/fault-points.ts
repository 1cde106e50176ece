/**
 * Named places where a test can make this process fail for real. Off unless SLUICE_FAULTS names one, as
 * `place[@nth]=action[,...]`; each fires once in a process, at the first (or nth) time that the place is passed.
 *
 * Actions: `kill` (SIGKILL to this process), `stop` (SIGSTOP), `drop` (the connection breaks before COMMIT is sent), `lose-answer` (it
 * breaks after COMMIT was sent and before its answer is read).
 *
 * A fault that fires leaves a file of its name, with the id of the process, in the folder SLUICE_FAULTS_FIRED, and does not fire where
 * that file is there already: of several workers with the same faults each fault hits one.
 */
import { writeFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import type { Connection } from '../connectors/postgres/database.ts';

interface Fault {
  readonly name: string;
  readonly place: string;
  readonly action: string;
  /** Passes left before it fires. */
  passes: number;
}

const armed: Fault[] = (process.env.SLUICE_FAULTS ?? '')
  .split(',')
  .filter(Boolean)
  .map((name) => {
    const [where = '', action = ''] = name.split('=');
    const [place = '', nth = '1'] = where.split('@');
    return { name, place, action, passes: Number(nth) };
  });

export async function faultPoint(place: string, client?: Connection): Promise<void> {
  for (const fault of armed) {
    if (fault.place !== place) continue;
    fault.passes -= 1;
    if (fault.passes === 0 && isFirst(fault)) fire(fault, client);
  }
}

function isFirst({ name }: Fault): boolean {
  const folder = process.env.SLUICE_FAULTS_FIRED;
  if (!folder) return true;
  try {
    writeFileSync(join(folder, name), String(process.pid), { flag: 'wx' });
    return true;
  } catch {
    return false;
  }
}

function fire({ action }: Fault, client: Connection | undefined): void {
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
