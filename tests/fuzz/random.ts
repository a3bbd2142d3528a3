/** A repeatable source of numbers (xorshift128, Marsaglia 2003): one seed, one run. */
export class FuzzRandom {
  readonly #state: Uint32Array;

  constructor(seed: number) {
    // Spread by splitmix32: small seeds differ from the first number on.
    let x = seed >>> 0;
    this.#state = Uint32Array.from({ length: 4 }, () => {
      x = (x + 0x9e37_79b9) >>> 0;
      let z = x;
      z = Math.imul(z ^ (z >>> 16), 0x85eb_ca6b);
      z = Math.imul(z ^ (z >>> 13), 0xc2b2_ae35);
      return (z ^ (z >>> 16)) >>> 0 || 1;
    });
  }

  /** From 0 to `bound` - 1; 0 where the bound is 0. */
  below(bound: number): number {
    const [a = 0, b = 0, c = 0, d = 0] = this.#state;
    const t = a ^ (a << 11);
    const next = (d ^ (d >>> 19) ^ (t ^ (t >>> 8))) >>> 0;
    this.#state.set([b, c, d, next]);
    return bound === 0 ? 0 : next % bound;
  }

  /** One of them; there must be one. */
  pick<T>(items: readonly T[]): T {
    const item = items[this.below(items.length)];
    if (item === undefined) throw new RangeError('nothing to pick from');
    return item;
  }
}
