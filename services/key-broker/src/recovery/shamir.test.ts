import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { encodeHex, type Bytes } from '@cloister/bytes';
import { random } from '../scene.test.ts';
import { combineShares, splitSecret, type ShamirShare } from './shamir.ts';

function subsets<T>(items: readonly T[], size: number): readonly (readonly T[])[] {
  if (size === 0) return [[]];
  return items.flatMap((item, i) =>
    subsets(items.slice(i + 1), size - 1).map((rest) => [item, ...rest]),
  );
}

const slope = (): Bytes => Uint8Array.of(0x83);

describe('splitSecret and combineShares', () => {
  const secret = random(32);

  for (const [k, n] of [
    [2, 2],
    [2, 3],
    [3, 5],
    [5, 5],
  ] as const)
    it(`give the secret back from any ${k} of ${n}, and from no fewer`, () => {
      const shares = splitSecret(secret, { k, n }, random);
      for (const some of subsets(shares, k)) assert.deepEqual(combineShares(some), secret);
      for (const few of subsets(shares, k - 1))
        assert.notDeepEqual(few.length === 0 ? new Uint8Array(32) : combineShares(few), secret);
    });

  it('give it back from all shares as well', () => {
    const shares = splitSecret(secret, { k: 3, n: 6 }, random);
    assert.deepEqual(combineShares(shares), secret);
    assert.deepEqual(combineShares(shares.toReversed()), secret);
  });

  it('work with as many people as there are points', () => {
    const shares = splitSecret(secret, { k: 2, n: 255 }, random);
    const [first, last] = [shares[0], shares[254]];
    assert.ok(first && last);
    assert.deepEqual(combineShares([first, last]), secret);
  });

  it('compute in the field of AES: a known line', () => {
    // f(x) = 0x57 + 0x83 x; 0x57·0x83 = 0xc1 is the example of FIPS 197, section 4.2.
    const shares = splitSecret(Uint8Array.of(0x00), { k: 2, n: 0x57 }, slope);
    assert.equal(encodeHex(shares.at(-1)?.y ?? new Uint8Array(0)), 'c1');
  });

  it('give another secret where a share was changed', () => {
    const shares = splitSecret(secret, { k: 3, n: 3 }, random);
    const [one, ...rest] = shares;
    assert.ok(one);
    const changed: ShamirShare = {
      x: one.x,
      y: one.y.map((byte, i) => (i === 0 ? byte ^ 1 : byte)),
    };
    assert.notDeepEqual(combineShares([changed, ...rest]), secret);
  });

  it('refuse what makes no sense', () => {
    for (const terms of [
      { k: 1, n: 3 },
      { k: 4, n: 3 },
      { k: 2, n: 256 },
      { k: 2.5, n: 3 },
    ])
      assert.throws(() => splitSecret(secret, terms, random), RangeError);
    const [share] = splitSecret(secret, { k: 2, n: 2 }, random);
    assert.ok(share);
    assert.throws(() => combineShares([]), RangeError);
    assert.throws(() => combineShares([share, share]), RangeError);
    assert.throws(() => combineShares([share, { x: 0, y: share.y }]), RangeError);
    assert.throws(() => combineShares([share, { x: 9, y: new Uint8Array(3) }]), RangeError);
  });
});
