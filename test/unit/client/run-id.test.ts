import { defaultRunId } from '../../../src/client/run-id.ts';

const now = new Date('2026-11-23T23:59:59Z');

it('is the pipeline and the day', () => {
  expect(defaultRunId('flights', {}, now)).toBe('flights-2026-11-23');
});

it('tells other parameters apart, whatever their order', () => {
  const id = defaultRunId('flights', { from: '2001-02-01', to: '2001-03-01' }, now);
  expect(id).toMatch(/^flights-2026-11-23-[0-9a-f]{6}$/);
  expect(defaultRunId('flights', { to: '2001-03-01', from: '2001-02-01' }, now)).toBe(id);
  expect(defaultRunId('flights', { from: '2001-02-01' }, now)).not.toBe(id);
});
