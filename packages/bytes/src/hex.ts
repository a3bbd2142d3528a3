import type { Bytes } from './bytes.ts';
import { MalformedError } from './malformed-error.ts';

const ascii = new TextDecoder();
/** For each byte the codes of its two digits, as one number in the order of this machine. */
const PAIRS = digitPairs();
/** Where short texts are put together: decoding from it costs less than joining strings. */
const scratch = new Uint16Array(1024);

/** Lower-case hex. */
export function encodeHex(bytes: Uint8Array): string {
  const { length } = bytes;
  const pairs = length <= scratch.length ? scratch : new Uint16Array(length);
  for (let i = 0; i < length; i++) pairs[i] = PAIRS[bytes[i] ?? 0] ?? 0;
  return ascii.decode(new Uint8Array(pairs.buffer, 0, 2 * length));
}

function digitPairs(): Uint16Array {
  const text = Array.from({ length: 256 }, (_, i) => i.toString(16).padStart(2, '0')).join('');
  const pairs = new Uint16Array(256);
  new Uint8Array(pairs.buffer).set(new TextEncoder().encode(text));
  return pairs;
}

/** Bytes of hex in either case, without separators. */
export function decodeHex(text: string, name = 'hex'): Bytes {
  if (text.length % 2 !== 0) throw new MalformedError('truncated', name);
  const out = new Uint8Array(text.length / 2);
  for (let i = 0; i < out.length; i++) {
    out[i] = (digit(text, 2 * i, name) << 4) | digit(text, 2 * i + 1, name);
  }
  return out;
}

function digit(text: string, at: number, name: string): number {
  const code = text.charCodeAt(at);
  if (code >= 0x30 && code <= 0x39) return code - 0x30;
  const letter = code | 0x20;
  if (letter >= 0x61 && letter <= 0x66) return letter - 0x57;
  throw new MalformedError('bad_value', `${name} at character ${at}`);
}
