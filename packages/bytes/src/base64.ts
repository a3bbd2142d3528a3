import type { Bytes } from './bytes.ts';
import { MalformedError } from './malformed-error.ts';

const STANDARD = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';
const URL_SAFE = `${STANDARD.slice(0, 62)}-_`;

const valuesOf = (alphabet: string) => {
  const values = new Int8Array(256).fill(-1);
  for (let i = 0; i < 64; i++) values[alphabet.charCodeAt(i)] = i;
  return values;
};
const codesOf = (alphabet: string) => new TextEncoder().encode(alphabet);
const STANDARD_CODES = codesOf(STANDARD);
const URL_SAFE_CODES = codesOf(URL_SAFE);
const ascii = new TextDecoder();
const encoder = new TextEncoder();

const STANDARD_VALUES = valuesOf(STANDARD);
const URL_SAFE_VALUES = valuesOf(URL_SAFE);

/** Base64 with padding (RFC 4648, section 4). */
export function encodeBase64(bytes: Uint8Array): string {
  const text = encode(bytes, STANDARD_CODES);
  return text.padEnd(Math.ceil(text.length / 4) * 4, '=');
}

/** Base64url without padding (RFC 4648, section 5; RFC 7515, section 2). */
export function encodeBase64url(bytes: Uint8Array): string {
  return encode(bytes, URL_SAFE_CODES);
}

/** Bytes of padded base64. Strict: no white space, no bits left over, padding required. */
export function decodeBase64(text: string, name = 'base64'): Bytes {
  if (text.length % 4 !== 0) throw new MalformedError('truncated', name);
  const end = text.endsWith('==') ? 2 : text.endsWith('=') ? 1 : 0;
  return decode(text.slice(0, text.length - end), STANDARD_VALUES, name);
}

/** Bytes of unpadded base64url. Strict: one text for one byte string. */
export function decodeBase64url(text: string, name = 'base64url'): Bytes {
  return decode(text, URL_SAFE_VALUES, name);
}

function encode(bytes: Uint8Array, alphabet: Uint8Array): string {
  const out = new Uint8Array(Math.ceil((bytes.length * 4) / 3));
  let at = 0;
  for (let i = 0; i < bytes.length; i += 3) {
    const word = ((bytes[i] ?? 0) << 16) | ((bytes[i + 1] ?? 0) << 8) | (bytes[i + 2] ?? 0);
    // Writes beyond the end, those of the last group, are dropped.
    for (let shift = 18; shift >= 0; shift -= 6) out[at++] = alphabet[(word >> shift) & 63] ?? 0;
  }
  return ascii.decode(out);
}

function decode(text: string, values: Int8Array, name: string): Bytes {
  const tail = text.length % 4;
  if (tail === 1) throw new MalformedError('truncated', name);
  // Bytes are read faster than characters; those of characters beyond ASCII stand for nothing.
  const codes = encoder.encode(text);
  const valueAt = (at: number): number => values[codes[at] ?? 0xff] ?? -1;
  const refuse = (from: number): never => {
    let at = from;
    while (valueAt(at) >= 0) at += 1;
    throw new MalformedError('bad_value', `${name} at character ${at}`);
  };
  const out = new Uint8Array(Math.floor((text.length * 3) / 4));
  const whole = text.length - tail;
  let at = 0;
  for (let i = 0; i < whole; i += 4) {
    const word =
      (valueAt(i) << 18) | (valueAt(i + 1) << 12) | (valueAt(i + 2) << 6) | valueAt(i + 3);
    // One that stands for nothing is negative, shifted or not.
    if (word < 0) refuse(i);
    out[at++] = word >> 16;
    out[at++] = word >> 8;
    out[at++] = word;
  }
  if (tail === 0) return out;
  const high = (valueAt(whole) << 6) | valueAt(whole + 1);
  const low = tail === 3 ? valueAt(whole + 2) << 6 : 0;
  if (high < 0 || low < 0) refuse(whole);
  out[at++] = high >> 4;
  // Writes beyond the end, where only one byte is left, are dropped.
  out[at] = (high << 4) | (low >> 8);
  const left = tail === 3 ? low & 0xff : high & 0x0f;
  if (left !== 0) throw new MalformedError('bad_value', `${name}: bits left over`);
  return out;
}
