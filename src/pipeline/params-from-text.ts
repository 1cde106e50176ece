/** Parameters as a command line gives them: text, made into what the pipeline's schema takes. */
import type { Json } from '../contracts/run.ts';
import { PermanentError } from '../errors.ts';
import type { Pipeline } from './definition.ts';

/**
 * Takes `from=2001-02-01` apart.
 * @throws PermanentError `WrongUsage` where there is no `=`
 */
export function splitParam(text: string): [name: string, value: string] {
  const at = text.indexOf('=');
  if (at < 1) throw new PermanentError('WrongUsage', `"${text}" is no parameter: write name=value, for example from=2001-02-01.`);
  return [text.slice(0, at), text.slice(at + 1)];
}

/**
 * The parameters that these texts mean. A text stays text where the parameter's schema takes it as it is; else it is read as JSON where
 * that fits: `limit=5`, `full=true`, `regions=["north"]`. What fits neither way stays text, and the schema says what is wrong.
 *
 * @param pipeline without it, nothing is known of the schema and every text stays text
 */
export function paramsFromText(texts: readonly string[], pipeline: Pick<Pipeline, 'params'> | null): { [name: string]: Json } {
  const params: { [name: string]: Json } = {};
  for (const [name, text] of texts.map(splitParam)) {
    const field = pipeline?.params.shape[name];
    params[name] = field ? valueFor((value) => accepts(field, value), text) : text;
  }
  return params;
}

function valueFor(takes: (value: Json) => boolean, text: string): Json {
  if (takes(text)) return text;
  let value: Json;
  try {
    value = JSON.parse(text) as Json;
  } catch {
    return text;
  }
  return takes(value) ? value : text;
}

function accepts(field: { safeParse?: (value: unknown) => { success: boolean } }, value: Json): boolean {
  try {
    return field.safeParse?.(value).success ?? false;
  } catch {
    return false; // an asynchronous refinement; the plan judges it
  }
}
