import { type Bytes, joinPieces } from '@cloister/bytes';
import { PieceReader } from '../wire/piece-reader.ts';
import type { BinaryMessage } from './message.ts';
import { failMessage, readFields, readStart, readVarint, type Step } from './parse-steps.ts';

const EMPTY: Bytes = new Uint8Array();

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
 * Contents of known length that stand in one piece are a view of it, not a copy.
 */
export function decodeMessage(pieces: readonly Bytes[]): DecodedMessage {
  const whole = new PieceReader(pieces);
  function run<T>(step: Step<T>): T {
    let state = step.next();
    while (state.done !== true)
      state = step.next(whole.take(state.value) ?? failMessage('truncated'));
    return state.value;
  }
  const omittedSections: OmittedSection[] = [];
  function section<T>(name: OmittedSection, read: () => Step<T>, empty: T): T {
    if (whole.remaining > 0) return run(read());
    omittedSections.push(name);
    return empty;
  }

  const { known, ...start } = run(readStart());
  const headers = section('headers', () => readFields(known), []);
  const content = section('content', () => readContent(known), EMPTY);
  const trailers = section('trailers', () => readFields(known), []);
  const paddingBytes = whole.remaining;
  if (!whole.rest().every(isPadding)) failMessage('trailing_bytes');
  return {
    message: { ...start, headers, content, trailers },
    framing: known ? 'known' : 'indeterminate',
    omittedSections,
    paddingBytes,
  };
}

function* readContent(known: boolean): Step<Bytes> {
  if (known) return yield yield* readVarint();
  const chunks: Bytes[] = [];
  for (;;) {
    const length = yield* readVarint();
    if (length === 0) return joinPieces(chunks);
    chunks.push(yield length);
  }
}

/** Whether all bytes are zero: paddings are long, so most of it four bytes at a time. */
export function isPadding(bytes: Bytes): boolean {
  const { buffer, byteOffset, length } = bytes;
  const ahead = Math.min(length, (4 - (byteOffset % 4)) % 4);
  const count = (length - ahead) >> 2;
  let found = 0;
  for (let i = 0; i < ahead; i++) found |= bytes[i] ?? 0;
  for (let i = ahead + 4 * count; i < length; i++) found |= bytes[i] ?? 0;
  // An empty array may not begin between two words, so it begins at none.
  if (count > 0) found |= orOf(new Int32Array(buffer, byteOffset + ahead, count));
  return found === 0;
}

/** Four at a time, and for one kind of array: what V8 makes of the plain loop takes ten times as long. */
function orOf(words: Int32Array): number {
  let a = 0;
  let b = 0;
  let c = 0;
  let d = 0;
  let i = 0;
  for (const last = words.length - 4; i <= last; i += 4) {
    a |= words[i] ?? 0;
    b |= words[i + 1] ?? 0;
    c |= words[i + 2] ?? 0;
    d |= words[i + 3] ?? 0;
  }
  for (; i < words.length; i++) a |= words[i] ?? 0;
  return a | b | c | d;
}
