import { isJsonObject, type JsonValue } from '@cloister/bytes';

/** One difference: where, and what stood and stands there; undefined where nothing does. */
export interface Difference {
  /** JSON pointer (RFC 6901). */
  readonly pointer: string;
  readonly before: JsonValue | undefined;
  readonly after: JsonValue | undefined;
}

/**
 * The differences between two JSON values, by pointer. Lists of texts are compared as sets: what was
 * added to one, and what taken away, stands in a line of its own.
 */
export function diffJson(
  before: JsonValue | undefined,
  after: JsonValue | undefined,
  pointer = '',
): readonly Difference[] {
  if (JSON.stringify(before) === JSON.stringify(after)) return [];
  if (isJsonObject(before) && isJsonObject(after)) {
    const names = [...new Set([...Object.keys(before), ...Object.keys(after)])];
    return names.flatMap((name) =>
      diffJson(before[name], after[name], `${pointer}/${escapeStep(name)}`),
    );
  }
  if (isTextList(before) && isTextList(after)) {
    const gone = before.filter((text) => !after.includes(text));
    const come = after.filter((text) => !before.includes(text));
    return [
      ...gone.map((text) => ({ pointer: `${pointer}/-`, before: text, after: undefined })),
      ...come.map((text) => ({ pointer: `${pointer}/-`, before: undefined, after: text })),
    ];
  }
  if (Array.isArray(before) && Array.isArray(after)) {
    const length = Math.max(before.length, after.length);
    return Array.from({ length }, (_, i) => i).flatMap((i) =>
      diffJson(before[i], after[i], `${pointer}/${i}`),
    );
  }
  return [{ pointer, before, after }];
}

/** Sets the member at a pointer, or removes it; parents that are missing are made. */
export function setAtPointer(
  value: JsonValue,
  pointer: string,
  member: JsonValue | undefined,
): JsonValue {
  const [, first, ...rest] = pointer.split('/');
  if (first === undefined) return member ?? null;
  const name = first.replaceAll('~1', '/').replaceAll('~0', '~');
  const deeper = rest.length === 0 ? '' : `/${rest.join('/')}`;
  if (Array.isArray(value)) {
    const index = name === '-' ? value.length : Number(name);
    const items = [...value];
    const item = deeper === '' ? member : setAtPointer(items[index] ?? {}, deeper, member);
    if (item === undefined) items.splice(index, 1);
    else items[index] = item;
    return items;
  }
  const object = isJsonObject(value) ? value : {};
  const { [name]: old, ...others } = object;
  const next = deeper === '' ? member : setAtPointer(old ?? {}, deeper, member);
  // In its place where it was there, so that a diff of the file stays small.
  return next === undefined ? others : { ...object, [name]: next };
}

function isTextList(value: JsonValue | undefined): value is string[] {
  return (
    Array.isArray(value) && value.length > 0 && value.every((item) => typeof item === 'string')
  );
}

function escapeStep(name: string): string {
  return name.replaceAll('~', '~0').replaceAll('/', '~1');
}
