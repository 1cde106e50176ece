import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { endProcess, findByArgument, identify, isAlive, ownIdentity, signalProcess } from '../../../src/local/process-identity.ts';

test('a recycled process id is never taken for the process, and never signalled', () => {
  const other = { pid: process.pid, started: 'at another time' };
  expect(isAlive(ownIdentity())).toBe(true);
  expect(isAlive(other)).toBe(false);
  expect(signalProcess(other, 'SIGKILL')).toBe(false);
});

test('a process that ignores SIGTERM is ended by the next step', async () => {
  const child = spawn(process.execPath, [
    '-e',
    'process.on("SIGTERM", () => {}); setInterval(() => {}, 1000); console.log("up")',
    'mark-of-this-test',
  ]);
  await once(child.stdout, 'data');
  const identity = identify(child.pid ?? 0);
  if (!identity) throw new Error('the child is not there');
  expect(findByArgument('node', 'mark-of-this-test')).toEqual([identity]);
  const how = await endProcess(identity, [
    { signal: 'SIGTERM', waitMs: 100 },
    { signal: 'SIGKILL', waitMs: 5000 },
  ]);
  expect(how).toBe('SIGKILL');
  expect(isAlive(identity)).toBe(false);
});
