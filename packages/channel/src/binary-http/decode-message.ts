import { asBytes, type Bytes, concatBytes, Reader } from '@cloister/bytes';
import { decodeLatin1 } from './latin1.ts';
import {
  type BinaryMessage,
  type Field,
  FRAMING,
  type InformationalResponse,
  isFieldName,
  isFieldValue,
  isMethod,
} from './message.ts';
import { readVarint } from './varint.ts';

const NAME = 'binary HTTP message';
const EMPTY: Bytes = new Uint8Array();
/** Far above what services send, far below what would tie up memory in millions of tiny strings. */
const MAX_FIELD_SECTION = 262_144;
const MAX_TEXT = 65_536;
const MAX_INFORMATIONAL = 16;

/** A section that an encoder may leave out at the end of a message (RFC 9292 section 3.8). */
export type OmittedSection = 'headers' | 'content' | 'trailers';

/** A decoded message and how it was written. */
export interface DecodedMessage {
  readonly message: BinaryMessage;
  readonly framing: 'known' | 'indeterminate';
  readonly omittedSections: readonly OmittedSection[];
  readonly paddingBytes: number;
}

/**
 * Reads a message of binary HTTP (RFC 9292) in either framing. Sections left out at the end count as
 * empty (section 3.8, and as in RFC 9458 the header section too); one that was begun must be complete,
 * and what follows must be zeros. So length says nothing about completeness: the encapsulation does.
 * Contents of known length are a view of `bytes`, not a copy.
 */
export function decodeMessage(bytes: Uint8Array): DecodedMessage {
  const source = new Source(asBytes(bytes));
  const { reader } = source;
  const indicator = readVarint(reader);
  const known =
    indicator === FRAMING.knownLengthRequest || indicator === FRAMING.knownLengthResponse;
  const request =
    indicator === FRAMING.knownLengthRequest || indicator === FRAMING.indeterminateRequest;
  if (indicator > FRAMING.indeterminateResponse) reader.fail('bad_value');

  const start = request ? readRequestControl(source) : readResponseControl(source, known);
  const omittedSections: OmittedSection[] = [];
  function section<T>(name: OmittedSection, read: () => T, empty: T): T {
    if (source.reader.remaining > 0) return read();
    omittedSections.push(name);
    return empty;
  }
  const headers = section('headers', () => readFields(source, known), []);
  const content = section('content', () => readContent(source, known), EMPTY);
  const trailers = section('trailers', () => readFields(source, known), []);
  const padding = source.rest();
  if (!isPadding(padding)) source.reader.fail('trailing_bytes');
  return {
    message: { ...start, headers, content, trailers },
    framing: known ? 'known' : 'indeterminate',
    omittedSections,
    paddingBytes: padding.length,
  };
}

/** A reader that can also give a view of what it passes over. */
class Source {
  readonly #bytes: Bytes;
  #from = 0;
  reader: Reader;

  constructor(bytes: Bytes) {
    this.#bytes = bytes;
    this.reader = new Reader(bytes, NAME);
  }

  view(length: number): Bytes {
    if (length > this.reader.remaining) this.reader.fail('truncated');
    const start = this.#from + this.reader.position;
    this.#from = start + length;
    this.reader = new Reader(this.#bytes.subarray(this.#from), NAME);
    return this.#bytes.subarray(start, this.#from);
  }

  rest(): Bytes {
    return this.view(this.reader.remaining);
  }
}

function readText(source: Source): string {
  const length = readVarint(source.reader);
  if (length > MAX_TEXT && length <= source.reader.remaining) source.reader.fail('too_large');
  return decodeLatin1(source.view(length));
}

function readRequestControl(source: Source) {
  const method = readText(source);
  if (!isMethod(method)) source.reader.fail('bad_value');
  const scheme = readText(source);
  const authority = readText(source);
  const path = readText(source);
  return { kind: 'request', method, scheme, authority, path } as const;
}

function readResponseControl(source: Source, known: boolean) {
  const informational: InformationalResponse[] = [];
  for (;;) {
    const status = readVarint(source.reader);
    if (status >= 200 && status <= 599) return { kind: 'response', informational, status } as const;
    if (status < 100 || status > 599) source.reader.fail('bad_value');
    if (informational.length === MAX_INFORMATIONAL) source.reader.fail('too_large');
    informational.push({ status, headers: readFields(source, known) });
  }
}

function readFields(source: Source, known: boolean): Field[] {
  if (known) {
    const length = readVarint(source.reader);
    if (length > MAX_FIELD_SECTION) source.reader.fail('too_large');
    const section = new Source(source.view(length));
    const fields: Field[] = [];
    while (section.reader.remaining > 0) fields.push(readField(section, readText(section)));
    return fields;
  }
  const fields: Field[] = [];
  const limit = source.reader.remaining - MAX_FIELD_SECTION;
  for (;;) {
    // A name of length zero ends the section (RFC 9292 section 3.2).
    const name = readText(source);
    if (name === '') return fields;
    fields.push(readField(source, name));
    if (source.reader.remaining < limit) source.reader.fail('too_large');
  }
}

function readField(source: Source, name: string): Field {
  const value = readText(source);
  if (!isFieldName(name) || !isFieldValue(value)) source.reader.fail('bad_value');
  return [name, value];
}

function readContent(source: Source, known: boolean): Bytes {
  if (known) return source.view(readVarint(source.reader));
  const chunks: Bytes[] = [];
  for (;;) {
    const length = readVarint(source.reader);
    if (length === 0) return chunks.length === 1 ? (chunks[0] ?? EMPTY) : concatBytes(...chunks);
    chunks.push(source.view(length));
  }
}

/** Whether all bytes are zero: a plain loop, for paddings are long. */
function isPadding(bytes: Bytes): boolean {
  for (let i = 0; i < bytes.length; i++) if (bytes[i] !== 0) return false;
  return true;
}
