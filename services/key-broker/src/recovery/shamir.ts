import type { Bytes } from '@cloister/bytes';

/** One point of the polynomials: with `k` of them the secret is known, with fewer nothing is. */
export interface ShamirShare {
  /** 1 to 255; the secret is at 0. */
  readonly x: number;
  readonly y: Bytes;
}

/** Splits a secret over GF(2^8), byte by byte: any `k` of `n` shares give it back. */
export function splitSecret(
  secret: Uint8Array,
  { k, n }: { readonly k: number; readonly n: number },
  random: (length: number) => Bytes,
): readonly ShamirShare[] {
  if (!Number.isInteger(k) || !Number.isInteger(n) || k < 2 || n < k || n > 255)
    throw new RangeError('shares: 2 <= k <= n <= 255');
  // Coefficient 0 is the secret; the others are random, the highest may well be zero.
  const coefficients = Array.from({ length: k - 1 }, () => random(secret.length));
  return Array.from({ length: n }, (_, index) => {
    const x = index + 1;
    const y = new Uint8Array(secret.length);
    for (let i = 0; i < secret.length; i++) {
      let value = 0;
      for (const coefficient of coefficients.toReversed())
        value = multiply(value ^ (coefficient[i] ?? 0), x);
      y[i] = value ^ (secret[i] ?? 0);
    }
    return { x, y };
  });
}

/** The secret from `k` shares (Lagrange at 0). Whether they are the right ones, the caller checks. */
export function combineShares(shares: readonly ShamirShare[]): Bytes {
  const [first] = shares;
  if (first === undefined) throw new RangeError('shares: none');
  if (new Set(shares.map(({ x }) => x)).size !== shares.length || shares.some(({ x }) => x < 1))
    throw new RangeError('shares: one point twice');
  if (shares.some(({ y }) => y.length !== first.y.length))
    throw new RangeError('shares: lengths differ');
  const secret = new Uint8Array(first.y.length);
  for (const share of shares) {
    let weight = 1;
    for (const { x } of shares)
      if (x !== share.x) weight = multiply(weight, multiply(x, inverse(x ^ share.x)));
    for (let i = 0; i < secret.length; i++)
      secret[i] = (secret[i] ?? 0) ^ multiply(share.y[i] ?? 0, weight);
  }
  return secret;
}

/**
 * Multiplication in GF(2^8) modulo x^8 + x^4 + x^3 + x + 1, without branches or tables that depend
 * on the values.
 */
function multiply(a: number, b: number): number {
  let product = 0;
  let factor = a;
  for (let bit = 0; bit < 8; bit++) {
    product ^= -((b >> bit) & 1) & factor;
    factor = ((factor << 1) ^ (-(factor >> 7) & 0x11b)) & 0xff;
  }
  return product & 0xff;
}

/** The inverse of a non-zero element: its 254th power. */
function inverse(a: number): number {
  let result = 1;
  let power = a;
  for (let bit = 1; bit < 8; bit++) {
    power = multiply(power, power);
    result = multiply(result, power);
  }
  return result;
}
