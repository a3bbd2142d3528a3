const STAR = 0x2a;
const QUESTION = 0x3f;
const OPEN = 0x5b;
const CLOSE = 0x5d;
const ESCAPE = 0x5c;
const CARET = 0x5e;
const DASH = 0x2d;

/** A pattern of keys or channels, as Redis' ACL has them: `*`, `?`, `[a-z]`, `[^a]`, `\` before a character. */
export interface Pattern {
  /** As it was written. */
  readonly text: string;
  /** What everything that it matches begins with. */
  readonly prefix: Buffer;
  /** `all` of what has the prefix, `exact`ly the prefix, or whatever the glob says. */
  readonly kind: 'all' | 'exact' | 'glob';
  readonly glob: Buffer;
}

/** Reads a pattern. */
export function parsePattern(text: string): Pattern {
  const glob = Buffer.from(text, 'latin1');
  const special = /[*?[\\]/.exec(text)?.index;
  const prefix = glob.subarray(0, special);
  const rest = text.slice(prefix.length);
  return { text, prefix, glob, kind: rest === '' ? 'exact' : rest === '*' ? 'all' : 'glob' };
}

/** Whether the pattern matches the bytes from `start` to `end`. */
export function isMatch(pattern: Pattern, bytes: Buffer, start: number, end: number): boolean {
  const { prefix, kind, glob } = pattern;
  const length = end - start;
  if (length < prefix.length) return false;
  for (let i = 0; i < prefix.length; i++) if (bytes[start + i] !== prefix[i]) return false;
  if (kind === 'all') return true;
  if (kind === 'exact') return length === prefix.length;
  return matchGlob(glob, bytes, start, end);
}

/**
 * Whether all that `glob` (of a SCAN, say) can match is also matched by the pattern. Decided only
 * for patterns that are a prefix and a `*`; for all others the answer is no.
 */
export function covers(pattern: Pattern, glob: string): boolean {
  if (pattern.text === glob) return true;
  const inner = parsePattern(glob);
  const { prefix } = pattern;
  return (
    pattern.kind === 'all' &&
    inner.prefix.length >= prefix.length &&
    inner.prefix.subarray(0, prefix.length).equals(prefix)
  );
}

/** Redis' `stringmatchlen`, going back to the last `*` only: no time grows with their number. */
function matchGlob(glob: Buffer, bytes: Buffer, start: number, end: number): boolean {
  let at = start;
  let g = 0;
  let retryGlob = -1;
  let retryAt = 0;
  while (at < end || g < glob.length) {
    if (g < glob.length) {
      if (glob[g] === STAR) {
        g += 1;
        retryGlob = g;
        retryAt = at;
        continue;
      }
      if (at < end) {
        const next = matchOne(glob, g, bytes[at] ?? 0);
        if (next >= 0) {
          g = next;
          at += 1;
          continue;
        }
      }
    }
    if (retryGlob < 0 || retryAt >= end) return false;
    retryAt += 1;
    at = retryAt;
    g = retryGlob;
  }
  return true;
}

/** The position in the glob behind what matched this byte; -1 where it does not match. */
function matchOne(glob: Buffer, g: number, byte: number): number {
  const symbol = glob[g];
  if (symbol === QUESTION) return g + 1;
  if (symbol === ESCAPE && g + 1 < glob.length) return glob[g + 1] === byte ? g + 2 : -1;
  if (symbol !== OPEN) return symbol === byte ? g + 1 : -1;
  let at = g + 1;
  const negated = glob[at] === CARET;
  if (negated) at += 1;
  let found = false;
  for (; at < glob.length && glob[at] !== CLOSE; at++) {
    if (glob[at] === ESCAPE && at + 1 < glob.length) {
      at += 1;
      if (glob[at] === byte) found = true;
    } else if (glob[at + 1] === DASH && at + 2 < glob.length) {
      const [a = 0, b = 0] = [glob[at], glob[at + 2]];
      if (byte >= Math.min(a, b) && byte <= Math.max(a, b)) found = true;
      at += 2;
    } else if (glob[at] === byte) found = true;
  }
  return found === negated ? -1 : at + 1;
}
