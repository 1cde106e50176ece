/**
 * Regular expressions that mean the same in JavaScript and in RE2 (DuckDB): anchored at both ends, made of ASCII characters, classes that
 * name ASCII characters, groups, alternatives and repetitions. Everything else differs somewhere, or is not in RE2: `.` and negated classes
 * (JavaScript counts UTF-16 code units), `\s` and `\b`, look-around, back references, flags.
 */

/** What matters of a pattern as a language; a larger one would make RE2 too large. */
const MOST_STATES = 1_000;
/** RE2's own limit of a repetition. */
const MOST_REPETITIONS = 1_000;

/**
 * The pattern to be matched in full (`regexp_full_match`), without its anchors.
 *
 * @returns null where the two could disagree
 *
 * @example
 * portablePattern(/^[A-Z]{3}$/); // '[A-Z]{3}'
 */
export function portablePattern(pattern: RegExp): string | null {
  if (pattern.flags !== '' || !pattern.source.startsWith('^') || !pattern.source.endsWith('$')) return null;
  const reader = new Reader(pattern.source.slice(1, -1));
  const found = reader.sequence();
  return found && reader.atEnd && found.states <= MOST_STATES ? found.text : null;
}

interface Piece {
  readonly text: string;
  /** Size of the automaton, about. */
  readonly states: number;
}

const LITERAL = /^[A-Za-z0-9 _!"#%&',/:;<=>@`~-]/;
/** Characters that stand for themselves after a backslash, in both. */
const ESCAPED = /^\\[-.^$*+?()[\]{}|/\\]/;
const SHORTHAND = /^\\[dw]/;
const CLASS = /^\[(?:\\[dw]|\\[-.^$*+?()[\]{}|/\\]|[A-Za-z0-9](?:-[A-Za-z0-9])?|[ _!"#%&',/:;<=>@`~.*+?(){}|$])+-?\]/;
const REPEATED = /^(?:[?*+]|\{(\d+)(?:(,)(\d*))?\})\??/;

class Reader {
  #rest: string;

  constructor(source: string) {
    this.#rest = source;
  }

  get atEnd(): boolean {
    return this.#rest === '';
  }

  /** Without alternatives: those would not be anchored. */
  sequence(): Piece | null {
    let text = '';
    let states = 1;
    while (!this.atEnd && !/^[|)]/.test(this.#rest)) {
      const piece = this.#repeated();
      if (!piece) return null;
      text += piece.text;
      states += piece.states;
    }
    return { text, states };
  }

  #repeated(): Piece | null {
    const atom = this.#atom();
    if (!atom) return null;
    const found = REPEATED.exec(this.#rest);
    if (!found) return atom;
    const [all, least, comma, most] = found;
    if (/^[?*+{]/.test(this.#rest.slice(all.length))) return null;
    this.#rest = this.#rest.slice(all.length);
    const times = Math.max(Number(least ?? 1), Number(most || least || 1)) + (comma !== undefined && most === '' ? 1 : 0);
    if (times > MOST_REPETITIONS || (most && Number(most) < Number(least))) return null;
    return { text: atom.text + all, states: atom.states * Math.max(times, 1) };
  }

  #atom(): Piece | null {
    if (this.#rest.startsWith('(')) return this.#group();
    for (const form of [LITERAL, ESCAPED, SHORTHAND, CLASS]) {
      const found = form.exec(this.#rest)?.[0];
      if (found === undefined) continue;
      if (form === CLASS && !/^\[(?!\^)/.test(found)) return null;
      if (form === CLASS && hasEmptyRange(found)) return null;
      this.#rest = this.#rest.slice(found.length);
      return { text: found, states: 1 };
    }
    return null;
  }

  #group(): Piece | null {
    const open = /^\((?:\?:)?(?!\?)/.exec(this.#rest)?.[0];
    if (open === undefined) return null;
    this.#rest = this.#rest.slice(open.length);
    const alternatives: Piece[] = [];
    for (;;) {
      const piece = this.sequence();
      if (!piece) return null;
      alternatives.push(piece);
      if (!this.#rest.startsWith('|')) break;
      this.#rest = this.#rest.slice(1);
    }
    if (!this.#rest.startsWith(')')) return null;
    this.#rest = this.#rest.slice(1);
    return {
      text: `(?:${alternatives.map((piece) => piece.text).join('|')})`,
      states: alternatives.reduce((sum, piece) => sum + piece.states, 1),
    };
  }
}

/** `[z-a]` */
function hasEmptyRange(text: string): boolean {
  return [...text.matchAll(/([A-Za-z0-9])-([A-Za-z0-9])/g)].some(([, from = '', to = '']) => from > to);
}
