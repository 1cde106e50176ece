/** The workflow types, by name. */
export { extract } from './extract.ts';
export { load } from './load.ts';
export { pipeline } from './pipeline.ts';
export { transform } from './transform.ts';
export { verify } from './verify.ts';
