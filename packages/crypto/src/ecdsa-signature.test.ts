import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { concatBytes, decodeHex, encodeHex, MalformedError, type Bytes } from '@cloister/bytes';
import * as fc from 'fast-check';
import { shared, sharedMissing } from '../../../tests/shared.ts';
import { ecdsaDerToRaw, ecdsaRawToDer } from './ecdsa-signature.ts';
import { encodePublicKey } from './x509/public-key.ts';
import { createKeyCache, verifySignature } from './x509/verify-key.ts';

interface Suite {
  publicKeys: string[];
  tests: {
    tcId: number;
    comment: string;
    msg: string;
    sig: string;
    result: string;
    publicKey: number;
  }[];
}

describe('ECDSA P-256: wycheproof', { skip: sharedMissing }, () => {
  const empty: Suite = { publicKeys: [], tests: [] };
  const { der, p1363 } = sharedMissing
    ? { der: empty, p1363: empty }
    : (JSON.parse(
        readFileSync(shared('vectors/protocol/wycheproof-ecdsa-p256-sha256.json'), 'utf8'),
      ) as { der: Suite; p1363: Suite });
  const cache = createKeyCache();
  const spkiOf = (suite: Suite, index: number) => {
    const point = decodeHex(suite.publicKeys[index] ?? '');
    const [x, y] = [point.slice(1, 33), point.slice(33)];
    return encodePublicKey({ type: 'ec', curve: 'P-256', x, y });
  };
  const suites = [
    ['p1363', p1363, (signature: Bytes) => signature],
    ['DER', der, (signature: Bytes) => ecdsaDerToRaw(signature, 32)],
  ] as const;
  for (const [name, suite, toRaw] of suites) {
    for (const { tcId, comment, msg, sig, result, publicKey } of suite.tests) {
      it(`${name} ${tcId} ${comment}: ${result}`, async () => {
        let raw: Bytes;
        try {
          raw = toRaw(decodeHex(sig));
        } catch (error) {
          assert.ok(error instanceof MalformedError);
          assert.equal(result, 'invalid');
          return;
        }
        const spki = spkiOf(suite, publicKey);
        const verified = await verifySignature(spki, 'ecdsa-sha256', raw, decodeHex(msg), cache);
        assert.equal(verified, result === 'valid');
      });
    }
  }
});

describe('ecdsaDerToRaw', () => {
  it('reads what ecdsaRawToDer writes', () => {
    for (const size of [32, 48]) {
      fc.assert(
        fc.property(fc.uint8Array({ minLength: 2 * size, maxLength: 2 * size }), (raw) => {
          assert.deepEqual(ecdsaDerToRaw(ecdsaRawToDer(raw), size), new Uint8Array(raw));
        }),
      );
    }
  });

  it('is the only way to write a signature', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 12 }), (bytes) => {
        let raw: Bytes;
        try {
          raw = ecdsaDerToRaw(bytes, 4);
        } catch (error) {
          assert.ok(error instanceof MalformedError);
          return;
        }
        assert.equal(encodeHex(ecdsaRawToDer(raw)), encodeHex(bytes));
      }),
      { numRuns: 2000, examples: [[decodeHex('3006020101020101')]] },
    );
  });

  const refused: [string, string][] = [
    ['nothing', ''],
    ['no numbers', '3000'],
    ['a negative r', '3006020181020101'],
    ['an r with a needless zero', '300702020001020101'],
    ['an empty s', '30050201010200'],
    ['a number too long', `3026022101${'00'.repeat(32)}020101`],
    ['a long-form length', '308106020101020101'],
    ['an indefinite length', '30800201010201010000'],
    ['a third number', '3009020101020101020101'],
    ['bytes behind it', '300602010102010100'],
    ['a SET', '3106020101020101'],
  ];
  for (const [what, hex] of refused) {
    it(`refuses ${what}`, () => {
      assert.throws(() => ecdsaDerToRaw(decodeHex(hex), 32), MalformedError);
    });
  }
});

describe('ecdsaRawToDer', () => {
  it('refuses odd and empty input', () => {
    assert.throws(() => ecdsaRawToDer(new Uint8Array(63)), RangeError);
    assert.throws(() => ecdsaRawToDer(new Uint8Array(0)), RangeError);
  });

  it('drops zeros and adds sign bytes', () => {
    const raw = concatBytes(new Uint8Array(31), Uint8Array.of(0x80), new Uint8Array(32));
    assert.equal(encodeHex(ecdsaRawToDer(raw)), '300702020080020100');
  });
});
