import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { readJsonFile, writeJsonFile } from './json-file.ts';

const identity = z.object({ pid: z.int().positive(), started: z.string() });

const part = z.object({
  process: identity,
  /** Who has to stop it; null where it was left up on purpose. */
  owner: identity.nullable(),
});

const stackRecord = z.object({
  temporal: part.extend({ address: z.string(), namespace: z.string(), uiUrl: z.string(), metricsUrl: z.string() }).optional(),
  database: part.extend({ url: z.string() }).optional(),
  workers: z.array(z.object({ process: identity, owner: identity })).default([]),
});

const portsRecord = z.object({
  temporal: z.object({ port: z.int(), uiPort: z.int(), metricsPort: z.int() }).optional(),
  postgres: z.int().optional(),
});

/** What runs in a state folder, as written to `stack.json`. Process ids come with the start of the process, so a recycled one is never signalled. */
export type StackRecord = z.infer<typeof stackRecord>;

/** The ports of the last start, kept in `ports.json` so that clients reconnect. */
export type PortsRecord = z.infer<typeof portsRecord>;

/** What `stack.json` says; an empty record where there is none, or none that makes sense. */
export function readStack(stateDir: string): Promise<StackRecord> {
  // Of another version? What it may have named is found by its command line at the next start.
  return readJsonFile(join(stateDir, 'stack.json'), stackRecord, { workers: [] });
}

/** Replaces `stack.json` (mode 0600: it holds the password of the database); removes it when nothing runs. */
export async function writeStack(stateDir: string, record: StackRecord): Promise<void> {
  const path = join(stateDir, 'stack.json');
  if (!record.temporal && !record.database && record.workers.length === 0) return rm(path, { force: true });
  await writeJsonFile(path, record);
}

export function readPorts(stateDir: string): Promise<PortsRecord> {
  return readJsonFile(join(stateDir, 'ports.json'), portsRecord, {});
}

export function writePorts(stateDir: string, ports: PortsRecord): Promise<void> {
  return writeJsonFile(join(stateDir, 'ports.json'), ports);
}
