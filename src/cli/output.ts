/**
 * Where the words go. For people, results and progress go to stdout and remarks to stderr. With `--json`, stdout has one line, the
 * last: one JSON object, of an error `{"error":{"code","message"}}`; everything else goes to stderr.
 */
import type { Writable } from 'node:stream';
import { describeError, SluiceError } from '../errors.ts';
import { Interrupted } from './exit-status.ts';

/** A stream that may be a terminal. */
export type OutputStream = Writable & { readonly isTTY?: boolean; readonly columns?: number };

export class Output {
  readonly json: boolean;
  /** Where progress is shown. */
  readonly human: OutputStream;
  readonly #stdout: OutputStream;
  readonly #stderr: OutputStream;

  constructor(json: boolean, stdout: OutputStream = process.stdout, stderr: OutputStream = process.stderr) {
    this.json = json;
    this.human = json ? stderr : stdout;
    this.#stdout = stdout;
    this.#stderr = stderr;
  }

  /** Part of the answer, for people. */
  say(text: string): void {
    this.human.write(`${text}\n`);
  }

  /** A remark that is no part of the answer. */
  note(text: string): void {
    this.#stderr.write(`${text}\n`);
  }

  /** The answer: one object for programs, text for people. */
  result(answer: object, text: string | (() => string)): void {
    if (this.json) this.#stdout.write(`${JSON.stringify(answer)}\n`);
    else this.say(typeof text === 'string' ? text : text());
  }

  /** What went wrong. */
  failure(error: unknown): void {
    const { code, message } = failureOf(error);
    if (this.json) this.#stdout.write(`${JSON.stringify({ error: { code, message } })}\n`);
    else this.note(code === 'Unexpected' && error instanceof Error ? (error.stack ?? message) : `sluice: ${message}`);
  }
}

function failureOf(error: unknown): { code: string; message: string } {
  if (error instanceof SluiceError) return { code: error.code, message: error.message };
  if (error instanceof Interrupted) return { code: 'Interrupted', message: error.message };
  return { code: 'Unexpected', message: describeError(error) };
}
