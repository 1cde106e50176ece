/** Reads payloads that the SDK hands over raw: inputs in a history, heartbeat details. */
import type { Client } from '@temporalio/client';
import type { Payload } from '@temporalio/common';

/** Decodes with the client's data converter, codecs included. */
export async function decodePayloads(client: Client, payloads: readonly Payload[] | null | undefined): Promise<unknown[]> {
  const { payloadCodecs, payloadConverter } = client.options.loadedDataConverter;
  let decoded: Payload[] = [...(payloads ?? [])];
  for (const codec of [...payloadCodecs].reverse()) decoded = await codec.decode(decoded);
  return decoded.map((payload) => payloadConverter.fromPayload(payload));
}
