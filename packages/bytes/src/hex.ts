import type { Bytes } from './bytes.ts';
import { MalformedError } from './malformed-error.ts';

const DIGITS = Array.from({ length: 256 }, (_, i) => i.toString(16).padStart(2, '0'));

/** Lower-case hex. */
export function encodeHex(bytes: Uint8Array): string {
  let text = '';
  for (const byte of bytes) text += DIGITS[byte] ?? '';
  return text;
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
