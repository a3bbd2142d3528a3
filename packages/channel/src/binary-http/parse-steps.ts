import { type Bytes, MalformedError, type MalformedCode, Reader } from '@cloister/bytes';
import { decodeLatin1 } from './latin1.ts';
import {
  type Field,
  FRAMING,
  type InformationalResponse,
  isFieldName,
  isFieldValue,
  isMethod,
} from './message.ts';
import { varintOf, varintSize } from './varint.ts';

/**
 * A part of the parser: it yields how many bytes it needs next and is given exactly so many. Whether
 * those are at hand or still on their way is the driver's business, so that there is only one parser.
 */
export type Step<T> = Generator<number, T, Bytes>;

/** What a message begins with (RFC 9292 sections 3.3 to 3.5). */
export type MessageStart = {
  /** Whether sections have lengths before them, or terminators behind them. */
  readonly known: boolean;
} & (
  | {
      readonly kind: 'request';
      readonly method: string;
      readonly scheme: string;
      readonly authority: string;
      readonly path: string;
    }
  | {
      readonly kind: 'response';
      readonly informational: readonly InformationalResponse[];
      readonly status: number;
    }
);

const NAME = 'binary HTTP message';
/** Far above what services send, far below what would tie up memory in millions of tiny strings. */
const MAX_FIELD_SECTION = 262_144;
const MAX_TEXT = 65_536;
const MAX_INFORMATIONAL = 16;

/** Refuses a message. */
export function failMessage(code: MalformedCode): never {
  throw new MalformedError(code, NAME);
}

/** A variable-length integer (RFC 9000 section 16). */
export function* readVarint(): Step<number> {
  const first = yield 1;
  const size = varintSize(first[0] ?? 0);
  return varintOf(first, size === 1 ? undefined : yield size - 1) ?? failMessage('too_large');
}

/** Framing indicator and control data. */
export function* readStart(): Step<MessageStart> {
  const indicator = yield* readVarint();
  if (indicator > FRAMING.indeterminateResponse) failMessage('bad_value');
  const known =
    indicator === FRAMING.knownLengthRequest || indicator === FRAMING.knownLengthResponse;
  if (indicator === FRAMING.knownLengthRequest || indicator === FRAMING.indeterminateRequest) {
    const method = yield* readText();
    if (!isMethod(method)) failMessage('bad_value');
    const scheme = yield* readText();
    const authority = yield* readText();
    const path = yield* readText();
    return { known, kind: 'request', method, scheme, authority, path };
  }
  const informational: InformationalResponse[] = [];
  for (;;) {
    const status = yield* readVarint();
    if (status >= 200 && status <= 599) return { known, kind: 'response', informational, status };
    if (status < 100 || status > 599) failMessage('bad_value');
    if (informational.length === MAX_INFORMATIONAL) failMessage('too_large');
    informational.push({ status, headers: yield* readFields(known) });
  }
}

/** A field section (RFC 9292 section 3.6). */
export function* readFields(known: boolean): Step<Field[]> {
  if (!known) return yield* readFieldLines();
  const length = yield* readVarint();
  if (length > MAX_FIELD_SECTION) failMessage('too_large');
  return parseFieldLines(yield length);
}

function* readFieldLines(): Step<Field[]> {
  const fields: Field[] = [];
  let size = 0;
  for (;;) {
    // A name of length zero ends the section (RFC 9292 section 3.2).
    const name = yield* readText();
    if (name === '') return fields;
    const value = yield* readText();
    fields.push(checkField(name, value));
    size += name.length + value.length + 2;
    if (size > MAX_FIELD_SECTION) failMessage('too_large');
  }
}

function* readText(): Step<string> {
  const length = yield* readVarint();
  if (length > MAX_TEXT) failMessage('too_large');
  return decodeLatin1(yield length);
}

/** Most of what is parsed stands in such sections: read at one go. */
function parseFieldLines(section: Bytes): Field[] {
  const reader = new Reader(section, NAME);
  const fields: Field[] = [];
  const text = (): string => {
    const first = section.subarray(reader.position, reader.position + 1);
    reader.u8();
    const size = varintSize(first[0] ?? 0);
    const length = varintOf(first, size === 1 ? undefined : reader.bytes(size - 1)) ?? Infinity;
    return decodeLatin1(reader.bytes(length > MAX_TEXT ? reader.fail('too_large') : length));
  };
  while (reader.remaining > 0) fields.push(checkField(text(), text()));
  return fields;
}

function checkField(name: string, value: string): Field {
  if (!isFieldName(name) || !isFieldValue(value)) failMessage('bad_value');
  return [name, value];
}
