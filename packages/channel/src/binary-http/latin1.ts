import { type Bytes, MalformedError } from '@cloister/bytes';

const CHUNK = 8192;

/** One character per byte. */
export function decodeLatin1(bytes: Uint8Array): string {
  let text = '';
  for (let at = 0; at < bytes.length; at += CHUNK) {
    // Not by spreading, which goes through an iterator.
    text += Reflect.apply(String.fromCharCode, undefined, bytes.subarray(at, at + CHUNK));
  }
  return text;
}

/** One byte per character; MalformedError where a character has no byte. */
export function encodeLatin1(text: string, name: string): Bytes {
  const out = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code > 0xff) throw new MalformedError('bad_value', name);
    out[i] = code;
  }
  return out;
}
