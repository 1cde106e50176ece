import { mistakeIn } from '../../../src/activities/plan-run.ts';
import { PermanentError, TransientError } from '../../../src/errors.ts';

test('an outage while a run is planned is a mistake where no outage looks like that', () => {
  const seconds = (count: number) => count * 1000;
  expect(mistakeIn(new TransientError('UnknownHost', 'no such host'), 0)).toEqual(new PermanentError('UnknownHost', 'no such host'));
  expect(mistakeIn(new TransientError('DatabaseUnreachable', 'refused'), seconds(600))).toBeNull();
  // A proxy may lead to a standby until a failover is over.
  const readOnly = new TransientError('ReadOnly', 'a standby');
  expect(mistakeIn(readOnly, seconds(30))).toBeNull();
  expect(mistakeIn(readOnly, seconds(61))).toEqual(new PermanentError('ReadOnly', 'a standby'));
  expect(mistakeIn(new Error('anything'), seconds(600))).toBeNull();
});
