/** A value now or later: synchronous providers spare the hops of a promise. */
export type Awaitable<T> = T | Promise<T>;

/** What comes of a value: at once where it is there. */
export function after<T, R>(value: Awaitable<T>, step: (value: T) => Awaitable<R>): Awaitable<R> {
  return value instanceof Promise ? value.then(step) : step(value);
}

/** `Promise.all`, and no promise at all where all values are there. */
export function allOf<T extends readonly unknown[] | []>(
  values: T,
): Awaitable<{ -readonly [K in keyof T]: Awaited<T[K]> }> {
  return areThere(values) ? values : Promise.all(values);
}

function areThere<T extends readonly unknown[] | []>(
  values: T,
): values is T & { -readonly [K in keyof T]: Awaited<T[K]> } {
  return !values.some((value) => value instanceof Promise);
}
