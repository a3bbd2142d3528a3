import { type Bytes, concatBytes } from '@cloister/bytes';
import { encodeHead, type MessageHead } from './binary-http/encode-message.ts';
import { CHUNK_SIZE } from './ohttp/chunks.ts';
import { EventStreamError } from './event-stream-error.ts';

/** How much content a tick of an event stream carries. */
export const TICK_SIZE = 1024;
/** How often a tick is sent. */
export const TICK_MS = 500;
/** A tick's content behind its length in two bytes. */
const FRAMED = TICK_SIZE + 2;
/** The shortest comment: a colon and the end of its line. */
const MIN_COMMENT = 2;
/** No more is taken from the application before the next tick. */
const MAX_WAITING = 65_536;
/** A line is held back until it is complete: a longer one than this is given up. */
const MAX_LINE = 1024 * 1024;
const NEWLINE = 0x0a;
const COLON = 0x3a;

/** Resolves after so many milliseconds. */
export type Wait = (milliseconds: number) => Promise<unknown>;

/**
 * An event stream as binary HTTP in chunks of one size (design 5): events wait for the next tick,
 * comments (HTML section 9.2.5) fill up what is left of it, and what does not fit takes several chunks.
 * So lengths say nothing of single events and, with `wait`, neither does time. Without, a tick is sent
 * when there is something to say.
 */
export async function* encodeTicks(
  head: MessageHead,
  events: AsyncIterator<Bytes>,
  wait: Wait | undefined,
): AsyncGenerator<readonly Bytes[], void, void> {
  yield* encodeOpening(head);
  const inbox = new Inbox(events);
  let held: Bytes = new Uint8Array();
  for (let ended = false; !ended; ) {
    // oxlint-disable-next-line no-await-in-loop -- tick by tick
    const come = await inbox.collect(wait);
    ended = come.ended;
    held = concatBytes(held, ...come.pieces);
    const lines = ended ? held.length : held.lastIndexOf(NEWLINE) + 1;
    if (held.length - lines > MAX_LINE) throw new EventStreamError('line_too_long');
    const content = fillUp(held.subarray(0, lines));
    held = held.slice(lines);
    for (let at = 0; at < content.length; at += TICK_SIZE)
      yield [lengthInTwo(TICK_SIZE), content.subarray(at, at + TICK_SIZE)];
  }
  // No more content, no trailers, and zeros as long as a tick (RFC 9292 section 3.8).
  yield [new Uint8Array(FRAMED)];
}

/** The head goes out at once, behind it as much comment as makes it whole ticks. */
function* encodeOpening(head: MessageHead): Generator<readonly Bytes[], void, void> {
  const start = encodeHead(head);
  const filling = roundUp(start.length + 2 + MIN_COMMENT, FRAMED) - start.length - 2;
  const opening = concatBytes(start, lengthInTwo(filling), comment(filling));
  for (let at = 0; at < opening.length; at += CHUNK_SIZE)
    yield [opening.subarray(at, at + CHUNK_SIZE)];
}

/** Whole lines and, behind them, a comment that makes them whole ticks: at least one. */
function fillUp(lines: Bytes): Bytes {
  // Only the end of the stream leaves a line open; its reader drops an event that was not finished.
  const open = lines.length > 0 && lines.at(-1) !== NEWLINE;
  const text = open ? concatBytes(lines, Uint8Array.of(NEWLINE)) : lines;
  const missing = Math.max(TICK_SIZE, roundUp(text.length, TICK_SIZE)) - text.length;
  return concatBytes(text, comment(missing === 1 ? 1 + TICK_SIZE : missing));
}

function comment(length: number): Bytes {
  const bytes = new Uint8Array(length).fill(COLON);
  if (length > 0) bytes[length - 1] = NEWLINE;
  return bytes;
}

function roundUp(length: number, step: number): number {
  return Math.ceil(length / step) * step;
}

/** A variable-length integer in two bytes, whether or not one would do: all chunks are of one size. */
function lengthInTwo(length: number): Bytes {
  return Uint8Array.of(0x40 | (length >> 8), length & 0xff);
}

interface Come {
  readonly pieces: readonly Bytes[];
  readonly ended: boolean;
}

/** What comes from the application between two ticks. */
class Inbox {
  readonly #events: AsyncIterator<Bytes>;
  #pieces: Bytes[] = [];
  #length = 0;
  #state: 'idle' | 'asked' | 'ended' = 'idle';
  #failure: { readonly cause: unknown } | undefined;
  #wake: () => void = () => undefined;

  constructor(events: AsyncIterator<Bytes>) {
    this.#events = events;
  }

  async collect(wait: Wait | undefined): Promise<Come> {
    let over = false;
    const tick = wait?.(TICK_MS);
    void tick?.finally(() => {
      over = true;
      this.#wake();
    });
    for (;;) {
      this.#ask();
      const enough = tick === undefined ? this.#length > 0 : over;
      if (enough || this.#state === 'ended') break;
      // oxlint-disable-next-line no-await-in-loop -- until something comes, or the tick
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    if (this.#failure !== undefined) throw this.#failure.cause;
    const come = { pieces: this.#pieces, ended: this.#state === 'ended' };
    this.#pieces = [];
    this.#length = 0;
    return come;
  }

  /** One piece at a time, and none while there is enough for a tick. */
  #ask(): void {
    if (this.#state !== 'idle' || this.#length > MAX_WAITING) return;
    this.#state = 'asked';
    this.#take()
      .catch((cause: unknown) => {
        this.#state = 'ended';
        this.#failure = { cause };
      })
      .finally(() => this.#wake());
  }

  async #take(): Promise<void> {
    const { done, value } = await this.#events.next();
    this.#state = done === true ? 'ended' : 'idle';
    if (done === true) return;
    this.#pieces.push(value);
    this.#length += value.length;
  }
}
