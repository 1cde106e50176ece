import { loadClientConnectConfig } from '@temporalio/envconfig';
import { describeError, PermanentError } from '../errors.ts';

/** A Temporal service that the user has named. */
export interface ConfiguredTemporal {
  readonly address: string;
  readonly namespace: string;
}

/**
 * The Temporal service that the user has configured, by `TEMPORAL_ADDRESS` or by a profile of Temporal's own configuration
 * file; null where there is none, and a server has to be started.
 *
 * @throws PermanentError `InvalidConfiguration` when the configuration cannot be read.
 * @see https://docs.temporal.io/develop/environment-configuration
 */
export function configuredTemporal(env: NodeJS.ProcessEnv = process.env): ConfiguredTemporal | null {
  const overrideEnvVars: Record<string, string> = {};
  for (const [name, value] of Object.entries(env)) {
    if (value) overrideEnvVars[name] = value; // an empty variable is an unset one
  }
  let config: ReturnType<typeof loadClientConnectConfig>;
  try {
    config = loadClientConnectConfig({ overrideEnvVars });
  } catch (error) {
    throw new PermanentError(
      'InvalidConfiguration',
      `Temporal's environment configuration cannot be read: ${describeError(error)}. Look at the variables TEMPORAL_* and at ${env.TEMPORAL_CONFIG_FILE || 'temporalio/temporal.toml in your configuration folder'}.`,
      { cause: error },
    );
  }
  const { address } = config.connectionOptions;
  return address ? { address, namespace: config.namespace ?? 'default' } : null;
}

/** Whether the user has named a Temporal service, so that none is started here. */
export function usesOwnTemporal(env: NodeJS.ProcessEnv = process.env): boolean {
  return configuredTemporal(env) !== null;
}
