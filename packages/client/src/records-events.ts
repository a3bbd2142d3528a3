import { MalformedError, parseJsonObject } from '@cloister/bytes';
import { numberOf, optionalTextOf, textOf } from './fields.ts';

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

/**
 * Reads an answer in the event-stream format (HTML Living Standard, 9.2.6), strictly: every event
 * has a numeric id above the last one and a JSON object. Comments and unknown fields are ignored.
 */
export function parseEvents(text: string): RecordsEvent[] {
  const events: RecordsEvent[] = [];
  for (const block of text.replaceAll(/\r\n?/g, '\n').split('\n\n')) {
    let id: string | undefined;
    const data: string[] = [];
    for (const line of block.split('\n')) {
      if (line.startsWith('id:')) id = line.slice(3).trim();
      else if (line.startsWith('data:')) data.push(line.slice(5).replace(/^ /, ''));
    }
    if (data.length === 0) continue;
    events.push(eventOf(id, data.join('\n'), events.at(-1)?.id ?? -1));
  }
  return events;
}

function eventOf(id: string | undefined, data: string, last: number): RecordsEvent {
  if (id === undefined || !/^(0|[1-9][0-9]{0,14})$/.test(id) || Number(id) <= last)
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
