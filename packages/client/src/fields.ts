import { isJsonObject, MalformedError, type JsonObject, type JsonValue } from '@cloister/bytes';
import { ClientError } from './client-error.ts';

/** Runs a reader over an answer; what it finds malformed becomes a ClientError. */
export function readAnswer<T>(where: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof MalformedError)) throw error;
    throw new ClientError('malformed_answer', `${where}: ${error.where}`, { cause: error });
  }
}

const fail = (path: string): never => {
  throw new MalformedError('bad_value', path);
};

/** A member that must be a non-empty text. */
export function textOf(object: JsonObject, member: string): string {
  const value = object[member];
  return typeof value === 'string' && value !== '' ? value : fail(member);
}

/** A member that is a text or absent. */
export function optionalTextOf(object: JsonObject, member: string): string | undefined {
  return object[member] === undefined ? undefined : textOf(object, member);
}

/** A member that must be a finite number. */
export function numberOf(object: JsonObject, member: string): number {
  const value = object[member];
  return typeof value === 'number' && Number.isFinite(value) ? value : fail(member);
}

/** A member that must be an object. */
export function objectOf(object: JsonObject, member: string): JsonObject {
  const value = object[member];
  return isJsonObject(value) ? value : fail(member);
}

/** A member that must be an array of objects; an absent one is empty, as in FHIR. */
export function objectsOf(object: JsonObject, member: string): JsonObject[] {
  const value: JsonValue = object[member] ?? [];
  return Array.isArray(value) && value.every(isJsonObject) ? value : fail(member);
}

/** A member that must be an array of texts; an absent one is empty. */
export function textsOf(object: JsonObject, member: string): string[] {
  const value: JsonValue = object[member] ?? [];
  if (!Array.isArray(value)) return fail(member);
  return value.map((text) => (typeof text === 'string' ? text : fail(member)));
}

/** A member that must be an array of finite numbers. */
export function numbersOf(object: JsonObject, member: string): number[] {
  const value: JsonValue = object[member] ?? [];
  if (!Array.isArray(value)) return fail(member);
  return value.map((n) => (typeof n === 'number' && Number.isFinite(n) ? n : fail(member)));
}
