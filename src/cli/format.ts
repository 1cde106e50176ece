/** Numbers, times and tables as people read them. */

const NUMBER = new Intl.NumberFormat('en-US', { maximumFractionDigits: 0 });

/** `2,214,870` */
export function count(value: number): string {
  return NUMBER.format(value);
}

/** `1 row`, `7 rows` */
export function plural(value: number, noun: string): string {
  return `${count(value)} ${noun}${value === 1 ? '' : 's'}`;
}

/** `0.8 s`, `12 s`, `3 min 5 s`, `2 h 10 min`, `3 d 4 h` */
export function duration(seconds: number): string {
  const s = Math.max(0, seconds);
  if (s < 9.95) return `${s.toFixed(1)} s`;
  const whole = Math.round(s);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return two(Math.floor(whole / 60), 'min', whole % 60, 's');
  if (whole < 86_400) return two(Math.floor(whole / 3600), 'h', Math.floor((whole % 3600) / 60), 'min');
  return two(Math.floor(whole / 86_400), 'd', Math.floor((whole % 86_400) / 3600), 'h');
}

/** Time left, in whole seconds: `2 s`. */
export function timeLeft(seconds: number): string {
  return seconds < 9.5 ? `${Math.max(1, Math.round(seconds))} s` : duration(seconds);
}

/** Rows a second, to three digits: `412,000/s` */
export function rate(rowsPerSecond: number): string {
  return `${count(Number(rowsPerSecond.toPrecision(3)))}/s`;
}

/** `2026-11-23 12:51:21` (UTC) */
export function instant(date: Date): string {
  return date.toISOString().slice(0, 19).replace('T', ' ');
}

/** At most `length` characters, on one line. */
export function clip(text: string, length: number): string {
  const line = text.replace(/\s+/g, ' ').trim();
  return line.length > length ? `${line.slice(0, Math.max(0, length - 1))}…` : line;
}

/** Columns side by side, numbers to the right. */
export function table(head: readonly string[], rows: readonly (readonly (string | number)[])[]): string {
  const cells = rows.map((row) => row.map((cell) => (typeof cell === 'number' ? count(cell) : cell)));
  const widths = head.map((title, at) => Math.max(title.length, ...cells.map((row) => row[at]?.length ?? 0)));
  const right = head.map((_, at) => rows.length > 0 && rows.every((row) => typeof row[at] === 'number'));
  const line = (row: readonly string[]) =>
    row
      .map((cell, at) => (right[at] ? cell.padStart(widths[at] ?? 0) : cell.padEnd(widths[at] ?? 0)))
      .join('  ')
      .trimEnd();
  return [head, ...cells].map(line).join('\n');
}

function two(large: number, largeUnit: string, small: number, smallUnit: string): string {
  return small === 0 ? `${large} ${largeUnit}` : `${large} ${largeUnit} ${small} ${smallUnit}`;
}
