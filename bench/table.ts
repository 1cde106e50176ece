/** Tables of figures, as plain text and as Markdown. */

export interface Table {
  readonly head: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

/** The first column to the left, figures to the right. */
export function plainTable({ head, rows }: Table): string[] {
  const { lines, widths } = measured({ head, rows });
  return lines.map((line) =>
    line
      .map((cell, at) => pad(cell, widths[at] ?? 0, at))
      .join('  ')
      .trimEnd(),
  );
}

export function markdownTable({ head, rows }: Table): string[] {
  const { lines, widths } = measured({ head, rows });
  const [first = [], ...rest] = lines.map((line) => `| ${line.map((cell, at) => pad(cell, widths[at] ?? 0, at)).join(' | ')} |`);
  const rule = `| ${widths.map((width, at) => (at === 0 ? '-'.repeat(width) : `${'-'.repeat(Math.max(width - 1, 1))}:`)).join(' | ')} |`;
  return [first as string, rule, ...rest];
}

function measured({ head, rows }: Table): { lines: readonly (readonly string[])[]; widths: number[] } {
  const lines = [head, ...rows];
  return { lines, widths: head.map((_, at) => Math.max(2, ...lines.map((line) => line[at]?.length ?? 0))) };
}

function pad(cell: string, width: number, at: number): string {
  return at === 0 ? cell.padEnd(width) : cell.padStart(width);
}

export const fixed = (value: number, digits = 2) => value.toFixed(digits);
export const count = (value: number) => Math.round(value).toLocaleString('en-US');
export const percent = (share: number) => `${Math.round(share * 100)} %`;

export function megabytes(bytes: readonly number[]): string {
  return bytes.length === 0 ? '-' : bytes.map((each) => Math.round(each / 1e6)).join(' ');
}
