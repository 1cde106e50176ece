/** The parts as one buffer, without a copy where there is only one. */
export function joined(parts: readonly Buffer[]): Buffer {
  const [only] = parts;
  return only && parts.length === 1 ? only : Buffer.concat(parts);
}
