import { type Bytes, concatBytes, MalformedError, Writer } from '@cloister/bytes';
import { lengthOf } from '../wire/byte-stream.ts';
import { encodeLatin1 } from './latin1.ts';
import {
  type BinaryMessage,
  type BinaryRequest,
  type BinaryResponse,
  type Field,
  FRAMING,
  isFieldName,
  isFieldValue,
  isMethod,
} from './message.ts';
import { encodeVarint } from './varint.ts';

/** A message without its content. */
export type MessageHead =
  | Omit<BinaryRequest, 'content' | 'trailers'>
  | Omit<BinaryResponse, 'content' | 'trailers'>;

/**
 * The known-length form of a message (RFC 9292 section 3.1). `padTo` may lengthen it: it gets the
 * length without padding, and zeros fill the rest (section 3.8).
 */
export function encodeMessage(
  message: BinaryMessage,
  padTo: (length: number) => number = (length) => length,
): Bytes {
  return concatBytes(...encodePieces(message, padTo));
}

/** As `encodeMessage`, in pieces: the content is one of them, not a copy of it. */
export function encodePieces(
  message: BinaryMessage,
  padTo: (length: number) => number,
): readonly Bytes[] {
  const head = new Writer();
  writeStart(head, message, true);
  writeFields(head, message.headers);
  head.bytes(encodeVarint(message.content.length));
  const trailers = new Writer();
  writeFields(trailers, message.trailers);
  const pieces = [head.finish(), message.content, trailers.finish()];
  const length = lengthOf(pieces);
  return [...pieces, new Uint8Array(Math.max(0, padTo(length) - length))];
}

/** Framing indicator, control data and header section of the indeterminate-length form (section 3.2). */
export function encodeHead(head: MessageHead): Bytes {
  const writer = new Writer();
  writeStart(writer, head, false);
  writeFieldLines(writer, head.headers);
  return writer.bytes(encodeVarint(0)).finish();
}

function writeStart(writer: Writer, head: MessageHead, known: boolean): void {
  if (head.kind === 'request') {
    if (!isMethod(head.method)) throw new MalformedError('bad_value', 'method');
    const framing = known ? FRAMING.knownLengthRequest : FRAMING.indeterminateRequest;
    writer.bytes(encodeVarint(framing));
    for (const text of [head.method, head.scheme, head.authority, head.path])
      writeText(writer, text, 'control data');
    return;
  }
  const framing = known ? FRAMING.knownLengthResponse : FRAMING.indeterminateResponse;
  writer.bytes(encodeVarint(framing));
  for (const { status, headers } of head.informational) {
    if (!(status >= 100 && status <= 199)) throw new MalformedError('bad_value', 'status');
    writer.bytes(encodeVarint(status));
    if (known) writeFields(writer, headers);
    else {
      writeFieldLines(writer, headers);
      writer.bytes(encodeVarint(0));
    }
  }
  const { status } = head;
  if (!(status >= 200 && status <= 599)) throw new MalformedError('bad_value', 'status');
  writer.bytes(encodeVarint(status));
}

function writeText(writer: Writer, text: string, name: string): void {
  const bytes = encodeLatin1(text, name);
  writer.bytes(encodeVarint(bytes.length)).bytes(bytes);
}

function writeFields(writer: Writer, fields: readonly Field[]): void {
  const section = new Writer();
  writeFieldLines(section, fields);
  const bytes = section.finish();
  writer.bytes(encodeVarint(bytes.length)).bytes(bytes);
}

function writeFieldLines(writer: Writer, fields: readonly Field[]): void {
  for (const [name, value] of fields) {
    if (!isFieldName(name)) throw new MalformedError('bad_value', 'field name');
    if (!isFieldValue(value)) throw new MalformedError('bad_value', 'field value');
    writeText(writer, name, 'field name');
    writeText(writer, value, 'field value');
  }
}
