import { layOver } from '../../../src/cluster/compose-merge.ts';

test('mappings grow, and later values win', () => {
  const below = { services: { db: { image: 'a', environment: { ONE: '1', TWO: '2' } } } };
  const above = { services: { db: { environment: { TWO: 'two', THREE: '3' } }, other: { image: 'b' } } };
  expect(layOver(below, above)).toEqual({
    services: { db: { image: 'a', environment: { ONE: '1', TWO: 'two', THREE: '3' } }, other: { image: 'b' } },
  });
});

test('commands are replaced, and other lists grow', () => {
  const below = { command: ['a', 'b'], healthcheck: { test: ['CMD', 'x'] }, env_file: ['one'] };
  const above = { command: ['c'], healthcheck: { test: ['CMD', 'y'] }, env_file: ['two'] };
  expect(layOver(below, above)).toEqual({ command: ['c'], healthcheck: { test: ['CMD', 'y'] }, env_file: ['one', 'two'] });
});

test('what is mounted at the same place is mounted there once', () => {
  expect(layOver({ volumes: ['data:/data', './a:/etc/a:ro'] }, { volumes: ['./b:/etc/a:ro', './c:/etc/c'] })).toEqual({
    volumes: ['data:/data', './b:/etc/a:ro', './c:/etc/c'],
  });
});
