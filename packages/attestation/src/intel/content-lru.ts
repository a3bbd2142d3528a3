import { Lru } from './lru.ts';

/** What says whether two byte strings, which are no secrets, are equal. */
export type Equal = (a: Uint8Array, b: Uint8Array) => boolean;

interface Entry<Value> {
  readonly content: Uint8Array;
  readonly value: Value;
}

/** So many bytes of a content, all over it, and so many at its end, say where to look for it. */
const SPREAD = 256;
const TAIL = 32;

/**
 * A map of at most `capacity` entries by contents of any length. They are looked for by some of
 * their bytes, and found only where all are the same: contents alike in the former take each
 * other's place, which costs time and nothing else. No hash function is needed, which WebCrypto
 * would have only behind a promise.
 */
export class ContentLru<Value> {
  readonly #entries: Lru<Entry<Value>, number>;

  constructor(capacity: number) {
    this.#entries = new Lru(capacity);
  }

  get size(): number {
    return this.#entries.size;
  }

  get(content: Uint8Array, equal: Equal = isEqual): Value | undefined {
    const entry = this.#entries.get(fingerprint(content));
    return entry !== undefined && equal(entry.content, content) ? entry.value : undefined;
  }

  /** The content is kept as it is: nobody may write to it later. */
  set(content: Uint8Array, value: Value): void {
    this.#entries.set(fingerprint(content), { content, value });
  }

  clear(): void {
    this.#entries.clear();
  }
}

/** FNV-1a over the length and a selection of the bytes. */
function fingerprint(content: Uint8Array): number {
  const { length } = content;
  let hash = 0x811c_9dc5 ^ length;
  const step = Math.ceil(length / SPREAD);
  for (let i = 0; i < length; i += step) hash = Math.imul(hash ^ (content[i] ?? 0), 0x0100_0193);
  for (let i = Math.max(0, length - TAIL); i < length; i++) {
    hash = Math.imul(hash ^ (content[i] ?? 0), 0x0100_0193);
  }
  return hash;
}

function isEqual(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}
