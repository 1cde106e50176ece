/** What /proc knows of processes: CPU time and peak memory. On systems without /proc there is nothing to know. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';

/** Clock ticks a second in /proc: 100 on every Linux that Node runs on. */
const TICKS = 100;

interface ProcessTimes {
  readonly parent: number;
  /** CPU seconds of the process itself. */
  readonly own: number;
  /** CPU seconds of its children that have ended. */
  readonly ended: number;
}

/** All processes, in one look. */
function readProcesses(): Map<number, ProcessTimes> {
  const found = new Map<number, ProcessTimes>();
  for (const name of list('/proc')) {
    const pid = Number(name);
    if (!Number.isInteger(pid)) continue;
    const stat = read(`/proc/${pid}/stat`);
    if (stat === null) continue;
    // proc(5): the command in parentheses may hold anything; after it, field 3 is the state, 4 the parent, 14 to 17 the times.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const ticks = (at: number) => Number(fields[at - 3]) / TICKS;
    found.set(pid, { parent: Number(fields[1]), own: ticks(14) + ticks(15), ended: ticks(16) + ticks(17) });
  }
  return found;
}

/**
 * A process and its descendants.
 * @param except processes left out, with their descendants
 */
function treeOf(root: number, except: ReadonlySet<number> = new Set()): Map<number, ProcessTimes> {
  const all = readProcesses();
  const children = new Map<number, number[]>();
  for (const [pid, { parent }] of all) children.set(parent, [...(children.get(parent) ?? []), pid]);
  const tree = new Map<number, ProcessTimes>();
  const visit = (pid: number) => {
    const times = all.get(pid);
    if (!times || except.has(pid)) return;
    tree.set(pid, times);
    for (const child of children.get(pid) ?? []) visit(child);
  };
  visit(root);
  return tree;
}

/** CPU seconds of a process and its descendants so far, those that have ended included. */
export function cpuSeconds(root: number, except?: ReadonlySet<number>): number {
  let tree = treeOf(root, except);
  // A process that ends between two lines of a look is in none of them, or in two: look again.
  for (let tries = 0; tries < 20; tries += 1) {
    const again = treeOf(root, except);
    const same = again.size === tree.size && [...again.keys()].every((pid) => tree.has(pid));
    tree = again;
    if (same) break;
  }
  let sum = 0;
  for (const { own, ended } of tree.values()) sum += own + ended;
  return sum;
}

/** CPU seconds of a process alone. */
export function ownCpuSeconds(pid: number): number {
  return treeOf(pid).get(pid)?.own ?? 0;
}

/** The descendants of a process, without itself. */
export function descendants(root: number, except?: ReadonlySet<number>): number[] {
  return [...treeOf(root, except).keys()].filter((pid) => pid !== root);
}

/** The most memory that a process has had resident (VmHWM); null where that is not known. */
export function peakBytes(pid: number): number | null {
  const kilobytes = /^VmHWM:\s+(\d+) kB$/m.exec(read(`/proc/${pid}/status`) ?? '')?.[1];
  return kilobytes === undefined ? null : Number(kilobytes) * 1024;
}

/** Peak memory is counted from now on, where the kernel lets us (proc(5), clear_refs). */
export function resetPeak(pid: number): void {
  try {
    writeFileSync(`/proc/${pid}/clear_refs`, '5');
  } catch {
    // The peak since the start of the process is reported instead: never too little.
  }
}

/** CPU seconds that the whole machine has worked, by whomever. */
export function machineCpuSeconds(): number {
  const fields = (read('/proc/stat') ?? '').split('\n', 1)[0]?.trim().split(/\s+/).slice(1).map(Number) ?? [];
  const [user = 0, nice = 0, system = 0, , , interrupts = 0, softInterrupts = 0, stolen = 0] = fields;
  return (user + nice + system + interrupts + softInterrupts + stolen) / TICKS;
}

function list(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

function read(path: string): string | null {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return null; // ended meanwhile
  }
}
