/**
 * Waits for work, and no longer than so many milliseconds; the work goes on.
 *
 * @returns whether it has ended
 * @throws what the work throws in that time
 */
export async function endsWithin(work: Promise<unknown>, ms: number): Promise<boolean> {
  let ended = false;
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms);
  });
  const watched = work.finally(() => {
    ended = true;
  });
  await Promise.race([watched, late]).finally(() => clearTimeout(timer));
  return ended;
}
