import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { verifySgxQuote } from '../sgx/verify-sgx-quote.ts';
import { WEB_CRYPTO, type EvidenceCrypto } from './evidence-crypto.ts';
import { forge } from './forge.test.ts';
import { VerificationCache } from './verification-cache.ts';
import { verifyMany } from './verify-many.ts';

describe('verifyMany', () => {
  it('gives the results in order, whatever comes first', async () => {
    const numbers = Array.from({ length: 20 }, (_, i) => i);
    const results = await verifyMany(
      numbers,
      async (number) => {
        for (let turn = number; turn < 20; turn++) await setImmediate();
        return number * 2;
      },
      7,
    );
    assert.deepEqual(
      results,
      numbers.map((number) => number * 2),
    );
  });

  it('verifies the first alone, then as many at once as it was told', async () => {
    const running = { now: 0, most: 0, done: 0 };
    await verifyMany(
      Array.from({ length: 20 }),
      async () => {
        if (running.done === 0) assert.equal(running.now, 0);
        running.now += 1;
        running.most = Math.max(running.most, running.now);
        await setImmediate();
        running.now -= 1;
        running.done += 1;
      },
      5,
    );
    assert.deepEqual(running, { now: 0, most: 5, done: 20 });
  });

  it('verifies shared collateral once', async () => {
    const { quote, options } = await forge('sgx3');
    const counts = { verify: 0 };
    const crypto: EvidenceCrypto = {
      ...WEB_CRYPTO,
      async importP256(point) {
        const key = await WEB_CRYPTO.importP256(point);
        return (
          key && {
            verify(signature, data) {
              counts.verify += 1;
              return key.verify(signature, data);
            },
          }
        );
      },
    };
    const cache = new VerificationCache();
    await verifySgxQuote(quote, { ...options, cache, crypto });
    const alone = counts.verify;
    counts.verify = 0;
    const fresh = new VerificationCache();
    const results = await verifyMany(
      Array.from({ length: 10 }, () => quote),
      (one) => verifySgxQuote(one, { ...options, cache: fresh, crypto }),
    );
    assert.ok(results.every(({ ok }) => ok));
    assert.equal(counts.verify, alone + 9);
  });

  it('has nothing to do, fails with what fails, and refuses a limit that is none', async () => {
    assert.deepEqual(await verifyMany([], () => Promise.reject(new TypeError('asked'))), []);
    const failing = verifyMany([1, 2, 3], (n) =>
      n === 2 ? Promise.reject(new TypeError('the world')) : Promise.resolve(n),
    );
    await assert.rejects(failing, TypeError);
    for (const inFlight of [0, -1, Number.NaN])
      await assert.rejects(
        verifyMany([1], (n) => Promise.resolve(n), inFlight),
        RangeError,
      );
  });
});
