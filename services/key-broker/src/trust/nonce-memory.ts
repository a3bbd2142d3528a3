import { encodeHex, type Bytes } from '@cloister/bytes';

/** How long a nonce for evidence is good, milliseconds: it is made at once. */
const EVIDENCE_NONCE_MS = 120_000;
/** How long one for a party's statement is good: people at several places have to sign it. */
export const PARTY_NONCE_MS = 24 * 3_600_000;
const LENGTH = 32;
const CAPACITY = 100_000;

/** The nonces that this process gave out: each is good once, soon, and after no restart. */
export class NonceMemory {
  readonly #ends = new Map<string, number>();
  readonly #random: (length: number) => Bytes;
  readonly #now: () => number;
  readonly #life: number;

  constructor(
    random: (length: number) => Bytes,
    now: () => number,
    life: number = EVIDENCE_NONCE_MS,
  ) {
    this.#random = random;
    this.#now = now;
    this.#life = life;
  }

  /** A fresh nonce; of too many, the oldest is forgotten. */
  make(): Bytes {
    const nonce = this.#random(LENGTH);
    const now = this.#now();
    for (const [old, end] of this.#ends) {
      if (end > now && this.#ends.size < CAPACITY) break;
      this.#ends.delete(old);
    }
    this.#ends.set(encodeHex(nonce), now + this.#life);
    return nonce;
  }

  /** Takes a nonce back: true once for each that is still good. */
  take(nonce: Uint8Array): boolean {
    const key = encodeHex(nonce);
    const end = this.#ends.get(key);
    this.#ends.delete(key);
    return end !== undefined && end > this.#now();
  }
}
