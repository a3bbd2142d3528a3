import type { Bytes } from '@cloister/bytes';

/** A field line: lower-case name, then the value as Latin-1 text. */
export type Field = readonly [name: string, value: string];

/** A request of binary HTTP (RFC 9292 section 3.4). Texts are Latin-1: one character per byte. */
export interface BinaryRequest {
  readonly kind: 'request';
  readonly method: string;
  readonly scheme: string;
  readonly authority: string;
  readonly path: string;
  readonly headers: readonly Field[];
  readonly content: Bytes;
  readonly trailers: readonly Field[];
}

/** An informational response before the final one (RFC 9292 section 3.5.1). */
export interface InformationalResponse {
  readonly status: number;
  readonly headers: readonly Field[];
}

/** A response of binary HTTP (RFC 9292 section 3.5). */
export interface BinaryResponse {
  readonly kind: 'response';
  readonly informational: readonly InformationalResponse[];
  readonly status: number;
  readonly headers: readonly Field[];
  readonly content: Bytes;
  readonly trailers: readonly Field[];
}

/** Either message of binary HTTP (RFC 9292). */
export type BinaryMessage = BinaryRequest | BinaryResponse;

/** Framing indicators (RFC 9292 section 3.3). */
export const FRAMING = {
  knownLengthRequest: 0,
  knownLengthResponse: 1,
  indeterminateRequest: 2,
  indeterminateResponse: 3,
} as const;

// RFC 9110 section 5.6.2, and for field names without upper case: RFC 9113 section 8.2.1.
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const FIELD_NAME = /^[!#$%&'*+\-.^_`|~0-9a-z]+$/;
const FIELD_VALUE = /^(?![ \t])[^\0\r\n]*(?<![ \t])$/;

/** Whether a text is a method (RFC 9110 section 9.1). */
export function isMethod(text: string): boolean {
  return TOKEN.test(text);
}

/** Whether a text may be a field's name in binary HTTP (RFC 9292 section 3.6). */
export function isFieldName(text: string): boolean {
  return FIELD_NAME.test(text);
}

/** Whether a text may be a field's value: no NUL, CR or LF, no white space around it. */
export function isFieldValue(text: string): boolean {
  return FIELD_VALUE.test(text);
}
