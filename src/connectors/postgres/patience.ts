/** A limit that is no shorter for this process being busy: while its event loop stands still, it hears nobody, however soon they answered. */

const STEP_MS = 100;

/**
 * Calls `late` after so long, counted in turns of the event loop: a turn hears what has arrived, and one that takes long counts as one step.
 *
 * @returns to be called when it is not late any more
 */
export function patience(ms: number, late: () => void): () => void {
  let left = Math.ceil(ms / STEP_MS);
  let timer: NodeJS.Timeout;
  let heard: NodeJS.Immediate;
  const step = () => {
    // Between a timer and an immediate, the event loop takes what has arrived.
    timer = setTimeout(() => {
      heard = setImmediate(() => {
        left -= 1;
        if (left > 0) step();
        else late();
      });
    }, STEP_MS);
  };
  step();
  return () => {
    clearTimeout(timer);
    clearImmediate(heard);
  };
}
