import type { Bytes } from './bytes.ts';
import { MalformedError } from './malformed-error.ts';

const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** UTF-8 bytes of a text. */
export function encodeUtf8(text: string): Bytes {
  return encoder.encode(text);
}

/** The text of UTF-8 bytes; MalformedError where they are not UTF-8. A byte order mark is kept. */
export function decodeUtf8(bytes: Uint8Array, name = 'UTF-8 text'): string {
  try {
    return decoder.decode(bytes);
  } catch (error) {
    throw new MalformedError('bad_value', name, { cause: error });
  }
}
