import { Client, Connection } from '@temporalio/client';
import { describeError, TransientError } from '../errors.ts';
import { type ConnectOptions, type TemporalSettings, temporalSettings } from './settings.ts';
import { SluiceClient } from './sluice-client.ts';

export type { ConnectOptions } from './settings.ts';

/**
 * Connects to Temporal: what the options name, else Temporal's own environment configuration (`TEMPORAL_ADDRESS` and the rest, or a
 * profile), else the stack that `sluice dev` has up in this folder, else localhost:7233.
 *
 * @throws TransientError `TemporalUnreachable` where the service does not answer
 *
 * @example
 * const sluice = await connect();
 * const run = await sluice.start('flights');
 * console.log(await run.result());
 * await sluice.close();
 */
export async function connect(options: ConnectOptions = {}): Promise<SluiceClient> {
  const settings = await temporalSettings(options);
  try {
    const connection = await Connection.connect({ ...settings.connection, connectTimeout: options.timeoutMs ?? 5_000 });
    return new SluiceClient(new Client({ connection, namespace: settings.namespace }), settings);
  } catch (error) {
    throw new TransientError(
      'TemporalUnreachable',
      `no Temporal server answers at ${settings.address} (${describeError(error)}). ${advice(settings)}`,
      {
        cause: error,
      },
    );
  }
}

function advice({ origin }: TemporalSettings): string {
  if (origin === 'environment') return 'Check TEMPORAL_ADDRESS and the rest of the environment configuration.';
  if (origin === 'options') return 'Check the address.';
  return 'Start one with "sluice dev", or name yours with TEMPORAL_ADDRESS.';
}
