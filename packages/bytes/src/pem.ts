import { decodeBase64, encodeBase64 } from './base64.ts';
import type { Bytes } from './bytes.ts';
import { MalformedError } from './malformed-error.ts';

/** One PEM block (RFC 7468): LF line ends, 64 columns, a final LF. */
export function encodePem(label: string, der: Uint8Array): string {
  const lines = encodeBase64(der).match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`;
}

/**
 * The contents of all PEM blocks with this label, in their order (RFC 7468, section 3).
 * Text outside blocks, other than white space and NUL, is refused, and so are other labels.
 */
export function decodePem(text: string, label: string, name = 'PEM'): Bytes[] {
  const begin = `-----BEGIN ${label}-----`;
  const end = `-----END ${label}-----`;
  const blocks: Bytes[] = [];
  let at = 0;
  for (;;) {
    const start = text.indexOf(begin, at);
    const between = text.slice(at, start < 0 ? text.length : start);
    if (!/^[\s\0]*$/.test(between)) throw new MalformedError('bad_value', `${name} at ${at}`);
    if (start < 0) return blocks;
    const stop = text.indexOf(end, start);
    if (stop < 0) throw new MalformedError('truncated', `${name} at ${start}`);
    const body = text.slice(start + begin.length, stop).replace(/[\r\n\t ]/g, '');
    blocks.push(decodeBase64(body, `${name} block ${blocks.length}`));
    at = stop + end.length;
  }
}
