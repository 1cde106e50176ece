import { Client, Connection } from '@temporalio/client';
import { describeError, TransientError } from '../errors.ts';
import { findActive } from './active-region.ts';
import { interceptors } from './grpc-interceptors.ts';
import { type ConnectOptions, type TemporalSettings, temporalSettings } from './settings.ts';
import { SluiceClient } from './sluice-client.ts';

export type { ConnectOptions } from './settings.ts';

/**
 * Connects to Temporal: what the options name, else Temporal's own environment configuration (`TEMPORAL_ADDRESS` and the rest, or a
 * profile), else the stack that `sluice dev` has up in this folder, else localhost:7233. Of several regions (SLUICE_REGIONS, or several addresses)
 * the one where the namespace is active.
 *
 * @throws TransientError `TemporalUnreachable` where the service does not answer, `ActiveRegionUnreachable`
 *
 * @example
 * const sluice = await connect(); // or connect({ address: ['proxy.a:7233', 'proxy.b:7233'] })
 * const run = await sluice.start('flights');
 * console.log(await run.result());
 * await sluice.close();
 */
export async function connect(options: ConnectOptions = {}): Promise<SluiceClient> {
  const timeoutMs = options.timeoutMs ?? 5_000;
  const found = await temporalSettings(options);
  const settings = found.addresses.length > 1 ? atAddress(found, await findActive(found.addresses, { ...found, timeoutMs })) : found;
  try {
    const connection = await Connection.connect({ ...settings.connection, interceptors, connectTimeout: timeoutMs });
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

function atAddress(settings: TemporalSettings, address: string): TemporalSettings {
  return { ...settings, address, connection: { ...settings.connection, address } };
}

function advice({ origin }: TemporalSettings): string {
  if (origin === 'environment') return 'Check TEMPORAL_ADDRESS and the rest of the environment configuration.';
  if (origin === 'options') return 'Check the address.';
  return 'Start one with "sluice dev", or name yours with TEMPORAL_ADDRESS.';
}
