/** Ctrl-C and SIGTERM: the first asks, the next insists. */
export interface Interrupts {
  /** Aborted by the first. */
  readonly signal: AbortSignal;
  /** Resolves at the first. */
  readonly first: Promise<void>;
  /** Gives the signals back to Node. */
  readonly release: () => void;
}

/** @param again called at the second, with nothing more to wait for; the third ends the process in any case */
export function onInterrupt(again: () => void = () => process.exit(130)): Interrupts {
  const controller = new AbortController();
  let times = 0;
  let arrived = () => {};
  const first = new Promise<void>((resolve) => {
    arrived = resolve;
  });
  const listener = () => {
    times += 1;
    if (times === 1) {
      controller.abort();
      arrived();
    } else if (times === 2) again();
    else process.exit(130);
  };
  process.on('SIGINT', listener);
  process.on('SIGTERM', listener);
  return {
    signal: controller.signal,
    first,
    release: () => {
      process.off('SIGINT', listener);
      process.off('SIGTERM', listener);
    },
  };
}
