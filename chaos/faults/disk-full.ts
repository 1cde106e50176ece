/** The disk of a target is full. */
import { setTimeout as delay } from 'node:timers/promises';
import type { SmallDisk } from '../small-disk.ts';
import type { Fault } from './fault.ts';

export const DISK_FULL = 'disk full';
const FULL_MS = 10_000;

export function diskFull(disk: SmallDisk): Fault {
  return {
    ...{ name: DISK_FULL, says: `of the target, for ${FULL_MS / 1000} s`, isKill: false },
    run: async (_scene, _random, broken) => {
      await disk.fill();
      broken();
      await delay(FULL_MS);
      await disk.empty();
      return { what: `${disk.megabytes} MB` };
    },
  };
}
