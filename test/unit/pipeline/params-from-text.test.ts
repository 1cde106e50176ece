import { z } from 'zod';
import { paramsFromText, splitParam } from '../../../src/pipeline/params-from-text.ts';

const pipeline = {
  params: z.object({
    day: z.iso.date().optional(),
    name: z.string(),
    limit: z.int().default(5),
    full: z.boolean().optional(),
    regions: z.array(z.string()).optional(),
    id: z.union([z.string(), z.number()]),
    since: z.coerce.date(),
  }),
};

it('keeps text where the schema takes text', () => {
  expect(paramsFromText(['day=2001-02-01', 'name=5', 'id=7', 'since=2001-02-01'], pipeline)).toEqual({
    day: '2001-02-01',
    name: '5',
    id: '7',
    since: '2001-02-01',
  });
});

it('reads numbers, booleans and JSON where the schema takes those', () => {
  expect(paramsFromText(['limit=12', 'full=true', 'regions=["north","south"]'], pipeline)).toEqual({
    limit: 12,
    full: true,
    regions: ['north', 'south'],
  });
});

it('leaves to the schema what fits neither way', () => {
  expect(paramsFromText(['limit=many', 'full=7', 'unknown=1'], pipeline)).toEqual({ limit: 'many', full: '7', unknown: '1' });
});

it('keeps all text where no schema is known', () => {
  expect(paramsFromText(['limit=12'], null)).toEqual({ limit: '12' });
});

it('splits at the first "="', () => {
  expect(splitParam('query=a=b')).toEqual(['query', 'a=b']);
  expect(splitParam('empty=')).toEqual(['empty', '']);
});

it.each(['from', '=x', ''])('refuses "%s"', (text) => {
  expect(() => splitParam(text)).toThrow(/write name=value/);
});
