/** Whether parts answer, and what they say of themselves. */
import type { ComposeService } from './compose-file.ts';

const ANSWER_MS = 2_000;

/** True where the URL answers with a status of 200 to 299. */
export async function answers(url: string): Promise<boolean> {
  return (await ask(url)) !== null;
}

/** What the URL answers; null where it does not, or with another status than 200 to 299. */
export async function ask(url: string): Promise<string | null> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(ANSWER_MS) });
    const text = await response.text();
    return response.ok ? text : null;
  } catch {
    return null;
  }
}

/** Asks what the part's health check asks. */
export async function isHealthy(address: string, { port, path }: NonNullable<ComposeService['health']>): Promise<boolean> {
  return await answers(`http://${address}:${port}${path}`);
}

export async function isEtcdLeader(address: string): Promise<boolean> {
  return /^etcd_server_is_leader 1$/m.test((await ask(`http://${address}:2379/metrics`)) ?? '');
}
