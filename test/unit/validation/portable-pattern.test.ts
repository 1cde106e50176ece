import { portablePattern } from '../../../src/validation/portable-pattern.ts';

test.each([
  [/^[A-Z]{3}$/, '[A-Z]{3}'],
  [/^\d{4}-\d\d$/, '\\d{4}-\\d\\d'],
  [/^(?:a|b[x-z_-]*)c??$/, '(?:a|b[x-z_-]*)c??'],
  [/^(a|b)+\.[.,]$/, '(?:a|b)+\\.[.,]'],
  [/^\/\w+$/, '\\/\\w+'],
  [/^$/, ''],
])('%s means the same in RE2', (pattern, text) => expect(portablePattern(pattern)).toBe(text));

test.each([
  ['not anchored', /[A-Z]/],
  ['an alternative that is not anchored', /^a|b$/],
  ['a flag', /^a$/i],
  ['any character, which may be half of one', /^.{2}$/],
  ['a negated class', /^[^a]$/],
  ['white space, which differs', /^\s$/],
  ['a character beyond ASCII', /^ä$/],
  ['a class beyond ASCII', /^[a-ü]$/],
  ['a dollar in the middle', /^a$b$/],
  ['look-ahead', /^(?=a)a$/],
  ['a back reference', /^(a)\1$/],
  ['a name', /^(?<n>a)$/],
  ['a word boundary', /^a\b$/],
  ['an escaped dollar at the end', /^a\$/],
  ['a shorthand as the end of a range', /^[\d-x]$/],
  ['a code point', /^\x41$/],
  ['more than RE2 repeats', /^a{1001}$/],
  ['too large', /^(?:a{40}){40}$/],
])('left to JavaScript: %s', (_, pattern) => expect(portablePattern(pattern)).toBeNull());
