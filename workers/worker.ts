/** The program of one worker process. The first signal stops it gracefully, the second at once. */
import { describeError } from '../src/errors.ts';
import { runWorker } from './run-worker.ts';

const stop = new AbortController();
let signals = 0;

function onSignal(): void {
  signals += 1;
  if (signals > 1) process.exit(130);
  stop.abort();
}

process.on('SIGTERM', onSignal);
process.on('SIGINT', onSignal);
// The pool that started this worker is gone: nobody would ever stop it.
process.on('disconnect', () => stop.abort());

try {
  await runWorker({ stop: stop.signal, onReady: () => process.send?.({ type: 'ready' }) });
  process.exit(0);
} catch (error) {
  console.error(`The worker cannot run: ${describeError(error)}`);
  process.exit(1);
}
