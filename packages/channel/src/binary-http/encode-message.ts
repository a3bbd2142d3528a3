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
  return concatBytes(...encodePieces(message, [message.content], padTo, message.trailers));
}

/** As `encodeMessage`, in pieces: those of the content are among them, not copies of them. */
export function encodePieces(
  message: MessageHead,
  content: readonly Bytes[],
  padTo: (length: number) => number,
  trailers: readonly Field[] = [],
): readonly Bytes[] {
  const start = new Writer();
  writeStart(start, message, true);
  writeFields(start, message.headers);
  start.bytes(encodeVarint(lengthOf(content)));
  const head = start.finish();
  const writer = new Writer();
  writeFields(writer, trailers);
  const end = writer.finish();
  const length = head.length + lengthOf(content) + end.length;
  // The trailers and, behind them, the padding.
  const tail = new Uint8Array(end.length + Math.max(0, padTo(length) - length));
  tail.set(end);
  return [head, ...content, tail];
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
  if (fields.length === 0) {
    writer.u8(0);
    return;
  }
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
