import type { Bytes } from '@cloister/bytes';
import { StreamReader } from '../wire/stream-reader.ts';
import { isPadding } from './decode-message.ts';
import type { Field } from './message.ts';
import {
  failMessage,
  type MessageStart,
  readFields,
  readStart,
  readVarint,
  type Step,
} from './parse-steps.ts';

const PIECE = 65_536;

/** A message whose content comes in pieces. */
export interface StreamedMessage {
  readonly start: MessageStart;
  readonly headers: readonly Field[];
  /**
   * The content as it comes, then the trailers. It ends normally only where trailers and padding were
   * there and well-formed; MalformedError else.
   */
  readonly content: AsyncGenerator<Bytes, readonly Field[], void>;
}

/**
 * Reads a message of binary HTTP (RFC 9292) as it comes, in either framing, by the rules of
 * `decodeMessage`. Whether the end of `source` is the end of the message, the encapsulation says.
 */
export async function decodeStream(source: AsyncIterable<Bytes>): Promise<StreamedMessage> {
  const reader = new StreamReader(source, 'binary HTTP message');
  async function run<T>(step: Step<T>): Promise<T> {
    let state = step.next();
    // oxlint-disable-next-line no-await-in-loop -- what is needed next depends on what came
    while (state.done !== true) state = step.next(await reader.bytes(state.value));
    return state.value;
  }

  const start = await run(readStart());
  const headers = (await reader.isEnd()) ? [] : await run(readFields(start.known));

  /** The next `length` bytes, in the pieces in which they come. */
  async function* pass(length: number): AsyncGenerator<Bytes, void, void> {
    for (let left = length; left > 0; ) {
      // oxlint-disable-next-line no-await-in-loop -- piece by piece
      const piece = await reader.some(left);
      if (piece.length === 0) failMessage('truncated');
      left -= piece.length;
      yield piece;
    }
  }

  async function* readContent(): AsyncGenerator<Bytes, readonly Field[], void> {
    if (!(await reader.isEnd())) {
      for (;;) {
        // oxlint-disable-next-line no-await-in-loop -- one length after the other
        const length = await run(readVarint());
        yield* pass(length);
        if (start.known || length === 0) break;
      }
    }
    const trailers = (await reader.isEnd()) ? [] : await run(readFields(start.known));
    for (;;) {
      // oxlint-disable-next-line no-await-in-loop -- piece by piece
      const padding = await reader.some(PIECE);
      if (padding.length === 0) return trailers;
      if (!isPadding(padding)) failMessage('trailing_bytes');
    }
  }

  return { start, headers, content: readContent() };
}
