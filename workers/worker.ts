/** The program of one worker process. The first signal stops it gracefully, the second at once. */
import { setFlagsFromString } from 'node:v8';

// The young generation grows with what survives in it, and is not given back: by loading the modules alone to 32 MB. So it may grow only when
// all is loaded, where a row function needs it. (A limit for good of 4 or 8 MB takes a third or a quarter more CPU of a row
// function.) An idle worker has 152 MB instead of 183.
setFlagsFromString('--semi-space-growth-factor=1');

// By itself V8 lets the old generation grow to several times what lived in it before it collects it. Twice is a soft bound: what a row
// function needs it gets. Measured with a row function and 2,000,000 rows, three times in turn: 263 to 267 MB at the peak instead of 295 to
// 303, and no more CPU.
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

function onReady(): void {
  setFlagsFromString('--semi-space-growth-factor=2');
  process.send?.({ type: 'ready' });
}

try {
  const { runWorker } = await import('./run-worker.ts');
  await runWorker({ stop: stop.signal, onReady });
  process.exit(0);
} catch (error) {
  const { describeError } = await import('../src/errors.ts');
  console.error(`The worker cannot run: ${describeError(error)}`);
  process.exit(1);
}
