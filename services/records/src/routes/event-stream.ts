import { encodeUtf8 } from '@cloister/bytes';
import type { RecordEvent } from '../store/directory.ts';
import type { Ledger } from '../store/ledger.ts';

/** What a stream of events works with. */
export interface EventStreamOptions {
  readonly ledger: Ledger;
  /** The cursor behind which it begins. */
  readonly cursor: number;
  /** Whether who listens may still do so; looked at every second. */
  readonly isAllowed: () => boolean;
  /** Told once, when nobody listens any more or nothing more will be said. */
  readonly onEnd: () => void;
}

/** How soon a reader should come back when the stream ends, milliseconds. */
const RETRY_MS = 2000;
const LOOK_MS = 1000;
/** Readers come back with their cursor: a stream that nobody reads any more ends all the same. */
const LONGEST_MS = 15 * 60_000;

/** One event in event-stream format (HTML Living Standard, 9.2.6). */
export function formatEvent({ cursor, data }: RecordEvent): string {
  const { meta: _, ...shown } = data;
  return `id: ${cursor}\nevent: resource\ndata: ${JSON.stringify(shown)}\n\n`;
}

/** Older events are gone, or of another log: the reader reads everything again and goes on from here. */
export function formatResync(cursor: number): string {
  return `id: ${cursor}\nevent: resync\ndata: {"t":"*","k":"resync"}\n\n`;
}

/** The events behind a cursor; undefined where the reader has to begin anew. */
export function eventsBehind(
  { directory }: Ledger,
  cursor: number,
): readonly RecordEvent[] | undefined {
  // A cursor of the future is one of another log.
  return cursor > directory.cursor ? undefined : directory.eventsAfter(cursor);
}

/**
 * What happens, as it happens, whichever replica wrote it: each piece is whole events. It breaks off,
 * without a regular end, where the log was found changed. Sizes and times are hidden by the channel,
 * whose ticks are of one size and rate (design 5).
 */
export function eventStream(options: EventStreamOptions): ReadableStream<Uint8Array> {
  const { ledger, isAllowed, onEnd } = options;
  const ends = performance.now() + LONGEST_MS;
  const wakes = new Wakes(ledger);
  let { cursor } = options;
  let opened = false;
  const end = (): void => {
    wakes.stop();
    onEnd();
  };
  /** What there is to say now. */
  const next = (): string => {
    const events = eventsBehind(ledger, cursor);
    if (events === undefined) {
      ({ cursor } = ledger.directory);
      return formatResync(cursor);
    }
    cursor = events.at(-1)?.cursor ?? cursor;
    return events.map(formatEvent).join('');
  };
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        let text = opened ? '' : `retry: ${RETRY_MS}\n\n`;
        opened = true;
        for (;;) {
          const { failure } = ledger;
          if (failure !== undefined) {
            end();
            throw failure;
          }
          if (!isAllowed() || performance.now() > ends || wakes.stopped) {
            if (!wakes.stopped) controller.close();
            end();
            return;
          }
          text += next();
          if (text !== '') {
            controller.enqueue(encodeUtf8(text));
            return;
          }
          await wakes.next();
        }
      },
      cancel: end,
    },
    { highWaterMark: 0 },
  );
}

/** Wakes a stream when the log has grown, and every second. */
class Wakes {
  readonly #off: () => void;
  #wake: () => void = () => undefined;
  #stopped = false;

  constructor(ledger: Ledger) {
    this.#off = ledger.onChange(() => this.#wake());
  }

  get stopped(): boolean {
    return this.#stopped;
  }

  async next(): Promise<void> {
    if (this.#stopped) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, LOOK_MS);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  stop(): void {
    this.#stopped = true;
    this.#off();
    this.#wake();
  }
}
