import { asBytes, concatBytes, decodeUtf8, MalformedError, parseJsonObject } from '@cloister/bytes';
import { failureOf } from './exchange.ts';
import { numberOf, optionalTextOf, readAnswer, textOf } from './fields.ts';

/** The steps of an analysis that records reports as it goes. */
export type Phase = 'verify-provider' | 'prove-caller' | 'infer' | 'record';

/** What an event says: never more than an id and a step. */
export interface RecordsEvent {
  /** The cursor of this event. */
  readonly id: number;
  /** `Type/id` of the resource that changed. */
  readonly target: string;
  readonly version?: string;
  readonly kind: string;
  readonly phase?: string;
  readonly ok?: boolean;
  readonly ms?: number;
  readonly code?: string;
  /** RFC 3339 time. */
  readonly time?: string;
}

/** Events after a cursor, and the cursor to ask with next. */
export interface EventBatch {
  readonly events: readonly RecordsEvent[];
  readonly cursor: number;
}

/** A line, or what an event says, may be so long and no longer. */
const MAX_LENGTH = 1 << 20;
const LINE_FEED = 0x0a;

/**
 * Reads the event-stream format (HTML Living Standard, 9.2.6) as it comes, strictly: every event has
 * a numeric id above the last one and a JSON object; only a resync goes back. Comments and unknown
 * fields are ignored, and an event that its stream did not finish does not count.
 */
export class EventReader {
  #cursor: number;
  #rest: Uint8Array = new Uint8Array();
  #id: string | undefined;
  #data: string[] = [];
  #length = 0;

  constructor(cursor: number) {
    this.#cursor = cursor;
  }

  /** Where to go on. */
  get cursor(): number {
    return this.#cursor;
  }

  /** The events that are complete with these bytes. */
  add(piece: Uint8Array): RecordsEvent[] {
    const bytes = concatBytes(asBytes(this.#rest), asBytes(piece));
    const whole = bytes.lastIndexOf(LINE_FEED) + 1;
    this.#rest = bytes.slice(whole);
    if (this.#rest.length > MAX_LENGTH) throw new MalformedError('too_large', 'event line');
    const lines = decodeUtf8(bytes.subarray(0, whole), 'events').split(/\r\n|[\r\n]/);
    // Behind the last end of a line there is none.
    lines.pop();
    return lines.flatMap((line) => this.#line(line));
  }

  #line(line: string): RecordsEvent[] {
    if (line === '') return this.#dispatch();
    if (line.startsWith('id:')) this.#id = line.slice(3).trim();
    else if (line.startsWith('data:')) {
      const text = line.slice(5).replace(/^ /, '');
      this.#length += text.length;
      if (this.#length > MAX_LENGTH) throw new MalformedError('too_large', 'event');
      this.#data.push(text);
    }
    return [];
  }

  #dispatch(): RecordsEvent[] {
    const [id, data] = [this.#id, this.#data];
    [this.#id, this.#data, this.#length] = [undefined, [], 0];
    if (data.length === 0) return [];
    const event = eventOf(id, data.join('\n'));
    if (event.kind !== 'resync' && event.id <= this.#cursor)
      throw new MalformedError('bad_value', 'event id');
    this.#cursor = event.id;
    return [event];
  }
}

/** Reads one answer with the events behind a cursor. */
export function parseEvents(bytes: Uint8Array, cursor: number): EventBatch {
  const reader = new EventReader(cursor);
  const events = reader.add(bytes);
  return { events, cursor: reader.cursor };
}

/**
 * Reads an answer that goes on: a batch for each piece that came, also where it holds no event, so
 * that a reader sees that the stream lives. It ends where the server ended it; a stream that was cut
 * off throws the transport's error, and what came before it counts.
 */
export async function* readEventStream(
  response: Response,
  options: { readonly cursor: number; readonly signal: AbortSignal; readonly where: string },
): AsyncGenerator<EventBatch, void, void> {
  const { signal, where } = options;
  const events = new EventReader(options.cursor);
  const body = response.body?.getReader();
  if (body === undefined) return;
  try {
    for (;;) {
      const piece = await nextPiece(body, signal, where);
      if (piece === undefined) return;
      yield readAnswer(where, () => ({ events: events.add(piece), cursor: events.cursor }));
    }
  } finally {
    // Nobody listens any more; of no effect where the stream is over.
    body.cancel().catch(() => undefined);
  }
}

async function nextPiece(
  body: ReadableStreamDefaultReader<Uint8Array>,
  signal: AbortSignal,
  where: string,
): Promise<Uint8Array | undefined> {
  try {
    const { done, value } = await body.read();
    return done ? undefined : value;
  } catch (error) {
    throw failureOf(error, signal, where);
  }
}

function eventOf(id: string | undefined, data: string): RecordsEvent {
  if (id === undefined || !/^(0|[1-9][0-9]{0,14})$/.test(id))
    throw new MalformedError('bad_value', 'event id');
  const value = parseJsonObject(data, 'event');
  const ok = value['ok'];
  if (ok !== undefined && typeof ok !== 'boolean') throw new MalformedError('bad_value', 'ok');
  const version = optionalTextOf(value, 'v');
  const phase = optionalTextOf(value, 'phase');
  const code = optionalTextOf(value, 'code');
  const time = optionalTextOf(value, 'ts');
  return {
    id: Number(id),
    target: textOf(value, 't'),
    kind: textOf(value, 'k'),
    ...(version === undefined ? {} : { version }),
    ...(phase === undefined ? {} : { phase }),
    ...(ok === undefined ? {} : { ok }),
    ...(value['ms'] === undefined ? {} : { ms: numberOf(value, 'ms') }),
    ...(code === undefined ? {} : { code }),
    ...(time === undefined ? {} : { time }),
  };
}
