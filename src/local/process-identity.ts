import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { basename } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

/**
 * A process that can be recognised later. Process ids are used again, so the id comes with the moment the process started:
 * a recycled id is never taken for it, and never signalled.
 */
export interface ProcessIdentity {
  readonly pid: number;
  /** When it started, as the kernel tells it; only good for comparing. */
  readonly started: string;
}

const hasProc = existsSync('/proc/self/stat');
const bootId = hasProc ? readText('/proc/sys/kernel/random/boot_id').trim().slice(0, 8) : '';

/** The identity of a running process; null where there is none (a zombie counts as none). */
export function identify(pid: number): ProcessIdentity | null {
  if (!Number.isSafeInteger(pid) || pid <= 0) return null;
  const started = hasProc ? startFromProc(pid) : startFromPs(pid);
  return started === null ? null : { pid, started };
}

/** This process. */
export function ownIdentity(): ProcessIdentity {
  return identify(process.pid) ?? { pid: process.pid, started: '' };
}

/** Whether this very process is still there, and not another one with the same id. */
export function isAlive(identity: ProcessIdentity): boolean {
  return identify(identity.pid)?.started === identity.started;
}

/** Sends the signal if the process is still this one; false where it is gone. */
export function signalProcess(identity: ProcessIdentity, signal: NodeJS.Signals): boolean {
  if (!isAlive(identity)) return false;
  try {
    process.kill(identity.pid, signal);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
    throw error;
  }
}

/** Waits until the process is gone; false when it is still there after `timeoutMs`. */
export async function waitUntilGone(identity: ProcessIdentity, timeoutMs: number): Promise<boolean> {
  const deadline = Date.now() + timeoutMs;
  while (isAlive(identity)) {
    if (Date.now() >= deadline) return false;
    await delay(20);
  }
  return true;
}

/** A signal and how long to wait for its effect before the next one. */
export interface EndingStep {
  readonly signal: NodeJS.Signals;
  readonly waitMs: number;
}

/** Ends a process by one signal after the other; returns the signal that did it, or null where it was gone already. */
export async function endProcess(identity: ProcessIdentity, steps: readonly EndingStep[]): Promise<NodeJS.Signals | null> {
  for (const { signal, waitMs } of steps) {
    if (!signalProcess(identity, signal)) return null;
    if (await waitUntilGone(identity, waitMs)) return signal;
  }
  const tried = steps.map((step) => step.signal).join(', ');
  throw new Error(`process ${identity.pid} did not end (sent ${tried}). End it by hand: kill -9 ${identity.pid}`);
}

/** Processes of a program that were started with exactly this argument. Empty where the system has no /proc. */
export function findByArgument(program: string, argument: string): ProcessIdentity[] {
  return processesWhere((pid) => {
    const [command = '', ...args] = readText(`/proc/${pid}/cmdline`).split('\0');
    return basename(command) === program && args.includes(argument);
  });
}

/** Processes of a program whose working directory this is, as far as we may see them. Empty where the system has no /proc. */
export function findByWorkingDirectory(folder: string, program: string): ProcessIdentity[] {
  return processesWhere((pid) => readlinkSync(`/proc/${pid}/cwd`) === folder && basename(readlinkSync(`/proc/${pid}/exe`)) === program);
}

function processesWhere(matches: (pid: number) => boolean): ProcessIdentity[] {
  if (!hasProc) return [];
  const found: ProcessIdentity[] = [];
  for (const name of readdirSync('/proc')) {
    const pid = Number(name);
    if (!Number.isInteger(pid) || pid === process.pid) continue;
    try {
      if (!matches(pid)) continue;
    } catch {
      continue; // gone meanwhile, or not ours to look at
    }
    const identity = identify(pid);
    if (identity) found.push(identity);
  }
  return found;
}

function startFromProc(pid: number): string | null {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  } catch {
    return null;
  }
  // proc(5): the command in parentheses may hold anything, so the fields are counted from its end: 3 is the state, 22 the start.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  if (fields[0] === 'Z' || fields[0] === 'X') return null;
  return `${bootId}:${fields[19]}`;
}

function startFromPs(pid: number): string | null {
  try {
    return (
      execFileSync('ps', ['-o', 'lstart=', '-p', String(pid)], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim() || null
    );
  } catch {
    return null;
  }
}

function readText(path: string): string {
  return readFileSync(path, 'utf8');
}
