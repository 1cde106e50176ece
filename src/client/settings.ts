/** Which Temporal service is meant: what the caller says, else Temporal's environment configuration, else a running `sluice dev`. */

import { resolve } from 'node:path';
import type { ConnectionOptions } from '@temporalio/client';
import { type ClientConnectConfig, loadClientConnectConfig } from '@temporalio/envconfig';
import { DEFAULT_TASK_QUEUE } from '../contracts/names.ts';
import { describeError, PermanentError } from '../errors.ts';
import { isAlive } from '../local/process-identity.ts';
import { readStack } from '../local/stack-file.ts';
import { addressesOf, regionsOf } from '../regions/region-list.ts';

/** How to reach Temporal; what is left out comes from the environment. */
export interface ConnectOptions {
  /**
   * `host:port`, or several: of several regions that one is used where the namespace is active.
   * @default the regions of SLUICE_REGIONS, TEMPORAL_ADDRESS (several with commas) or the profile's, else a running `sluice dev` of this folder, else
   * localhost:7233
   */
  readonly address?: string | readonly string[];
  /** @default TEMPORAL_NAMESPACE or the profile's, else `default` */
  readonly namespace?: string;
  /** Where runs are started. @default SLUICE_TASK_QUEUE, else `sluice` */
  readonly taskQueue?: string;
  /** @default TEMPORAL_API_KEY or the profile's */
  readonly apiKey?: string;
  /** @default TEMPORAL_TLS_* or the profile's */
  readonly tls?: ConnectionOptions['tls'];
  /** How long to wait for the service to answer, in milliseconds. @default 5000 */
  readonly timeoutMs?: number;
  /** @default process.env */
  readonly env?: NodeJS.ProcessEnv;
  /** Folder of a `sluice dev`. @default '.sluice' */
  readonly stateDir?: string;
  /** The service that TEMPORAL_ADDRESS names, whichever region is active: for workers. @default false */
  readonly ownRegion?: boolean;
}

/** Who named the service. */
export type SettingsOrigin = 'options' | 'environment' | 'stack' | 'default';

export interface TemporalSettings {
  readonly connection: ConnectionOptions;
  readonly address: string;
  /** Where else it may be: `address` is one of them, and not yet looked for where there are several. */
  readonly addresses: readonly string[];
  readonly namespace: string;
  readonly taskQueue: string;
  readonly origin: SettingsOrigin;
  /** Base address of the Web UI, where it is known. */
  readonly webUi: string | null;
}

const DEFAULT_ADDRESS = 'localhost:7233';

/**
 * @throws PermanentError `InvalidConfiguration` when Temporal's configuration cannot be read
 * @see https://docs.temporal.io/develop/environment-configuration
 */
export async function temporalSettings(options: ConnectOptions = {}): Promise<TemporalSettings> {
  const env = options.env ?? process.env;
  const configured = loadEnvironment(env);
  const stack = await runningTemporal(options.stateDir ?? '.sluice');
  const given = typeof options.address === 'string' ? options.address.split(',') : options.address;
  const environment = options.ownRegion ? null : regionsOf(env)?.flatMap((region) => addressesOf(region, 'temporal'));
  const named = given ?? environment ?? configured.connectionOptions.address?.split(',');
  const addresses = (named ?? [stack?.address ?? DEFAULT_ADDRESS]).map((each) => each.trim()).filter((each) => each !== '');
  const [address = DEFAULT_ADDRESS] = addresses;
  const origin: SettingsOrigin = given ? 'options' : named ? 'environment' : stack ? 'stack' : 'default';
  const isStack = stack?.address === address;
  const { tls, apiKey, metadata } = configured.connectionOptions;
  return {
    address,
    addresses,
    namespace: options.namespace ?? configured.namespace ?? (isStack ? stack.namespace : 'default'),
    taskQueue: options.taskQueue ?? (env.SLUICE_TASK_QUEUE || DEFAULT_TASK_QUEUE),
    origin,
    webUi: env.TEMPORAL_UI_URL?.replace(/\/+$/, '') || (isStack ? stack.uiUrl : guessWebUi(address)),
    connection: { address, tls: options.tls ?? tls, apiKey: options.apiKey ?? apiKey, metadata } as ConnectionOptions,
  };
}

function loadEnvironment(env: NodeJS.ProcessEnv): ClientConnectConfig {
  // An empty variable is an unset one.
  const overrideEnvVars = Object.fromEntries(Object.entries(env).filter((entry): entry is [string, string] => Boolean(entry[1])));
  try {
    return loadClientConnectConfig({ overrideEnvVars });
  } catch (error) {
    throw new PermanentError(
      'InvalidConfiguration',
      `Temporal's environment configuration cannot be read: ${describeError(error)}. Look at the variables TEMPORAL_* and at the profile file.`,
      { cause: error },
    );
  }
}

async function runningTemporal(stateDir: string): Promise<{ address: string; namespace: string; uiUrl: string } | null> {
  const { temporal } = await readStack(resolve(stateDir));
  return temporal && isAlive(temporal.process) ? temporal : null;
}

/** The Web UI of a development server or of Temporal Cloud; elsewhere nobody can know (TEMPORAL_UI_URL says). */
function guessWebUi(address: string): string | null {
  if (/\.tmprl\.cloud:|\.api\.temporal\.io:/.test(address)) return 'https://cloud.temporal.io';
  return /^(localhost|127\.0\.0\.1):7233$/.test(address) ? 'http://localhost:8233' : null;
}
