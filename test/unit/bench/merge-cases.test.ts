import { mergeCases } from '../../../bench/results.ts';

test('what is measured anew takes its place among the figures that are there, and what is new comes behind', () => {
  const old = (name: string) => ({ case: name, seconds: 2 });
  const now = (name: string) => ({ case: name, seconds: 1 });
  expect(mergeCases([old('a'), old('b')], [now('c'), now('b')])).toEqual([old('a'), now('b'), now('c')]);
});
