/** The program of one worker process. The first signal stops it gracefully, the second at once. */
import { setFlagsFromString } from 'node:v8';
import { describeError } from '../src/errors.ts';
import { runWorker } from './run-worker.ts';

// By itself V8 lets the old generation grow to several times what lived in it before it collects it. Twice is a soft bound: what a row
// function needs it gets. Measured with a row function and 2,000,000 rows, three times in turn: 263 to 267 MB at the peak instead of 295 to
// 303, and no more CPU. (A young generation of 2 to 8 MB took more CPU than the default of 16.)
setFlagsFromString('--heap-growing-percent=100');

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
