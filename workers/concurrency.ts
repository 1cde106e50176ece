/** How much a worker has in hand at once. */
import { PermanentError } from '../src/errors.ts';

/** Node does one thing at a time, and the databases answer meanwhile: more than this gains nothing that another worker would not. */
const DEFAULT = 20;
const MOST = 1_000;

/**
 * @param said of `SLUICE_CONCURRENCY`: partitions and commits at once, each with a session in the target and one in the source
 * @throws PermanentError `InvalidSetting`
 */
export function concurrencyOf(said: string | undefined): number {
  if (!said) return DEFAULT;
  const number = Number(said);
  if (Number.isInteger(number) && number >= 1 && number <= MOST) return number;
  throw new PermanentError(
    'InvalidSetting',
    `SLUICE_CONCURRENCY is "${said}": it is how many partitions a worker has in hand at once, from 1 to ${MOST}. Leave it out for ${DEFAULT}.`,
  );
}
