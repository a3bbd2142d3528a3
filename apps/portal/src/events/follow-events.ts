import type { EventBatch, RecordsEvent } from '@cloister/client';
import { retryDelay } from './feed.ts';

/** Where events come from: as a stream, or by asking. */
export interface EventSource {
  readonly events: (cursor: number, wait: number, signal?: AbortSignal) => Promise<EventBatch>;
  readonly eventStream: (
    cursor: number,
    signal: AbortSignal,
  ) => AsyncGenerator<EventBatch, void, void>;
}

/** How events are followed, and who is told. */
export interface FollowOptions {
  readonly source: EventSource;
  /** Ends it. */
  readonly signal: AbortSignal;
  /** Events that were not there before; `first` for those that happened before this began. */
  readonly onEvents: (events: readonly RecordsEvent[], first: boolean) => void;
  /** Why events do not come in now; undefined when they do (again). */
  readonly onFailure: (error: unknown) => void;
  /** Whether an error means that there is nothing more to follow. */
  readonly isOver: (error: unknown) => boolean;
  /** Resolves after so many milliseconds, or when the signal is aborted. */
  readonly pause: (ms: number, signal: AbortSignal) => Promise<void>;
  /** From 0 up to 1. */
  readonly random: () => number;
}

/** The server sends a tick every half second: a stream without one for so long is dead or held back. */
export const SILENCE_MS = 10_000;
/** After so many streams in a row of which nothing came, it is asked instead. */
const HELD_BACK = 2;
/** So often, each time for as long as the server lets wait; then a stream is tried again. */
const ASKS = 20;
const WAIT_SECONDS = 25;

const SILENT = Symbol('nothing came');

/**
 * Follows the events of a session until it is over; gives the error that ended it, or undefined after
 * an abort. A stream that breaks off, or falls silent, is gone on with from the last cursor; where the
 * browser or something on the way lets no stream through, the server is asked over and over.
 */
export async function followEvents(options: FollowOptions): Promise<unknown> {
  const { source, signal, onEvents, onFailure, isOver, pause, random } = options;
  let cursor = 0;
  let first = true;
  let failures = 0;
  let heldBack = 0;

  const take = (batch: EventBatch): void => {
    ({ cursor } = batch);
    if (batch.events.length > 0) onEvents(batch.events, first);
  };

  /** What was missed, at once; it also shows that the connection is there. */
  async function catchUp(): Promise<void> {
    const missed = await source.events(cursor, 0, signal);
    if (signal.aborted) return;
    take(missed);
    first = false;
    failures = 0;
    onFailure(undefined);
  }

  /** Reads one stream to its end, whatever that is; says whether anything came of it. */
  async function stream(): Promise<{ readonly alive: boolean; readonly error?: unknown }> {
    const own = new AbortController();
    const batches = source.eventStream(cursor, AbortSignal.any([signal, own.signal]));
    let alive = false;
    try {
      for (;;) {
        // oxlint-disable-next-line no-await-in-loop -- one after the other
        const next = await unlessSilent(batches.next());
        if (next === SILENT || next.done === true) return { alive };
        alive = true;
        take(next.value);
      }
    } catch (error) {
      return { alive, error };
    } finally {
      own.abort();
    }
  }

  async function unlessSilent<T>(next: Promise<T>): Promise<T | typeof SILENT> {
    const over = new AbortController();
    try {
      return await Promise.race([
        next,
        pause(SILENCE_MS, over.signal).then((): typeof SILENT => SILENT),
      ]);
    } finally {
      over.abort();
      // Nobody waits for what a silent stream may still say.
      next.catch(() => undefined);
    }
  }

  async function follow(): Promise<void> {
    await catchUp();
    if (signal.aborted) return;
    if (heldBack < HELD_BACK) {
      const { alive, error } = await stream();
      if (error !== undefined && isOver(error)) throw error;
      heldBack = alive ? 0 : heldBack + 1;
      await pause(retryDelay(heldBack, random()), signal);
      return;
    }
    for (let i = 0; i < ASKS && !signal.aborted; i++)
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      take(await source.events(cursor, WAIT_SECONDS, signal));
    heldBack = HELD_BACK - 1;
  }

  while (!signal.aborted) {
    try {
      // oxlint-disable-next-line no-await-in-loop -- over and over
      await follow();
    } catch (error) {
      if (signal.aborted) break;
      if (isOver(error)) return error;
      onFailure(error);
      // oxlint-disable-next-line no-await-in-loop -- as above
      await pause(retryDelay(failures++, random()), signal);
    }
  }
  return undefined;
}
