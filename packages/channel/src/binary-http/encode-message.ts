import { type Bytes, MalformedError, Writer } from '@cloister/bytes';
import { encodeLatin1 } from './latin1.ts';
import {
  type BinaryMessage,
  type Field,
  FRAMING,
  isFieldName,
  isFieldValue,
  isMethod,
} from './message.ts';
import { encodeVarint } from './varint.ts';

/**
 * The known-length form of a message (RFC 9292 section 3.1). `padTo` may lengthen it: it gets the
 * length without padding, and zeros fill the rest (section 3.8).
 */
export function encodeMessage(
  message: BinaryMessage,
  padTo: (length: number) => number = (length) => length,
): Bytes {
  const head = new Writer();
  if (message.kind === 'request') {
    if (!isMethod(message.method)) throw new MalformedError('bad_value', 'method');
    head.bytes(encodeVarint(FRAMING.knownLengthRequest));
    for (const text of [message.method, message.scheme, message.authority, message.path])
      writeText(head, text, 'control data');
  } else {
    head.bytes(encodeVarint(FRAMING.knownLengthResponse));
    for (const { status, headers } of message.informational) {
      if (!(status >= 100 && status <= 199)) throw new MalformedError('bad_value', 'status');
      head.bytes(encodeVarint(status));
      writeFields(head, headers);
    }
    const { status } = message;
    if (!(status >= 200 && status <= 599)) throw new MalformedError('bad_value', 'status');
    head.bytes(encodeVarint(status));
  }
  writeFields(head, message.headers);
  head.bytes(encodeVarint(message.content.length));
  const trailers = new Writer();
  writeFields(trailers, message.trailers);
  const start = head.finish();
  const end = trailers.finish();
  const length = start.length + message.content.length + end.length;
  // Written once into its final, padded place: contents are large.
  const out = new Uint8Array(Math.max(length, padTo(length)));
  out.set(start);
  out.set(message.content, start.length);
  out.set(end, start.length + message.content.length);
  return out;
}

function writeText(writer: Writer, text: string, name: string): void {
  const bytes = encodeLatin1(text, name);
  writer.bytes(encodeVarint(bytes.length)).bytes(bytes);
}

function writeFields(writer: Writer, fields: readonly Field[]): void {
  const section = new Writer();
  for (const [name, value] of fields) {
    if (!isFieldName(name)) throw new MalformedError('bad_value', 'field name');
    if (!isFieldValue(value)) throw new MalformedError('bad_value', 'field value');
    writeText(section, name, 'field name');
    writeText(section, value, 'field value');
  }
  const bytes = section.finish();
  writer.bytes(encodeVarint(bytes.length)).bytes(bytes);
}
