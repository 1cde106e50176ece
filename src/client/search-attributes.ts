/** Sluice's search attributes: registered by `sluice setup` and by every worker where it may, left out where the server refuses. */
import type { Connection } from '@temporalio/client';
import proto from '@temporalio/proto';
import { SEARCH_ATTRIBUTES } from '../contracts/names.ts';
import { describeError } from '../errors.ts';

const KEYWORD = proto.temporal.api.enums.v1.IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD;

/**
 * @returns whether the server knows them all; setting one that it does not know would fail workflow tasks for ever
 */
export async function registerSearchAttributes(
  connection: Pick<Connection, 'operatorService'>,
  namespace: string,
  say: (message: string) => void,
): Promise<boolean> {
  try {
    const known = await connection.operatorService.listSearchAttributes({ namespace });
    const missing = SEARCH_ATTRIBUTES.filter((name) => known.customAttributes?.[name] !== KEYWORD);
    if (missing.length === 0) return true;
    await connection.operatorService.addSearchAttributes({
      namespace,
      searchAttributes: Object.fromEntries(missing.map((name) => [name, KEYWORD])),
    });
    return true;
  } catch (error) {
    say(
      `The search attributes ${SEARCH_ATTRIBUTES.join(', ')} are left out, so "temporal workflow list" cannot filter by them: ${describeError(error)}. ` +
        `Register them: temporal operator search-attribute create ${SEARCH_ATTRIBUTES.map((name) => `--name ${name} --type Keyword`).join(' ')}`,
    );
    return false;
  }
}
