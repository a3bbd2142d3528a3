import { MalformedError } from '@cloister/bytes';
import { ConfigError } from './config-error.ts';
import { UnavailableError } from './unavailable-error.ts';

declare const SAFE: unique symbol;
/** Text that was checked to be an identifier without meaning, or a code of ours. */
export type SafeText = string & { readonly [SAFE]: true };

/** What a log line may hold: a free string is not among it, so no patient's data are. */
export type LogField = number | boolean | SafeText | undefined;

/** The events of one service and the types of their fields; each service's `events.ts` has one. */
export type LogEvents = Readonly<Record<string, object>>;

/** Fields without free strings: closed unions of literals pass, `string` becomes `never`. */
type WithoutFreeText<Fields> = {
  readonly [Name in keyof Fields]: string extends Fields[Name] ? never : Fields[Name];
};

/** Writes one event. */
export type Log<Events extends LogEvents> = <Name extends keyof Events & string>(
  event: Name,
  fields: WithoutFreeText<Events[Name]>,
) => void;

/**
 * A log of JSON lines. The type of `Events` decides what may be said: numbers, booleans, literals
 * and `SafeText`; a free string does not type-check (style 3.5).
 */
export function createLog<Events extends LogEvents>(options: {
  readonly service: string;
  readonly write: (line: string) => void;
  readonly now: () => Date;
}): Log<Events> {
  const { service, write, now } = options;
  return (event, fields) => {
    write(`${JSON.stringify({ time: now().toISOString(), service, event, ...fields })}\n`);
  };
}

/**
 * An identifier as text that may be logged: hexadecimal digits and dashes only, as random ids and
 * digests are. Anything else becomes `invalid`.
 */
export function opaqueId(text: string): SafeText {
  return safe(/^[0-9a-f-]{1,128}$/i.test(text) ? text : 'invalid');
}

/** A route template such as `/fhir/:type/:id`: what the program declared, not what was asked. */
export function routeTemplate(template: string): SafeText {
  return safe(/^[\w/:*.{}\-?]{1,128}$/.test(template) ? template : 'invalid');
}

/** The code of an error, for the log: never its message, which may quote input. */
export function errorCode(error: unknown): SafeText {
  if (typeof error === 'object' && error !== null && 'code' in error) {
    const { code } = error;
    if (typeof code === 'string' && /^[\w.-]{1,64}$/.test(code)) return safe(code);
  }
  return safe('internal');
}

/** Where an error of ours happened (a structure's name); empty for errors of others. */
export function errorPlace(error: unknown): SafeText {
  const ours =
    error instanceof MalformedError ||
    error instanceof UnavailableError ||
    error instanceof ConfigError;
  return safe(ours ? error.where : '');
}

function safe(text: string): SafeText {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the one place that brands
  return text as SafeText;
}
