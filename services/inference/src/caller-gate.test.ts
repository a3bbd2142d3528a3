import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Jwk } from '@cloister/crypto';
import { createScene, NAME, type SceneChanges } from './scene.test.ts';

/** Asks for a model's metadata as `records`, so many times, and gives the statuses. */
async function ask(
  changes: SceneChanges,
  times: number,
  between = (): void => {},
): Promise<number[]> {
  const scene = await createScene(changes);
  try {
    const call = await scene.connect();
    const statuses: number[] = [];
    for (let i = 0; i < times; i++) {
      // oxlint-disable-next-line no-await-in-loop -- one after the other is the point
      const answer = await call(new Request(`https://inference/v2/models/${NAME}`));
      statuses.push(answer.status);
      between();
    }
    return statuses;
  } finally {
    await scene.close();
  }
}

const unreachable = (): Promise<readonly Jwk[]> => Promise.reject(new Error('no route'));

describe('createCallerGate', () => {
  it('lets nobody in where the keys of the issuer cannot be had', async () => {
    assert.deepEqual(await ask({ issuerKeys: unreachable }, 2), [503, 503]);
  });

  it('lets nobody in by keys that the manifest does not pin', async () => {
    const { kty, crv, x, y } = await crypto.subtle.exportKey(
      'jwk',
      (
        await crypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, true, [
          'sign',
          'verify',
        ])
      ).publicKey,
    );
    const other = { kty, crv, x, y, kid: 'k1' } as Jwk;
    assert.deepEqual(await ask({ issuerKeys: () => Promise.resolve([other]) }, 1), [401]);
  });

  it('lets nobody in whose token names no recent head', async () => {
    const late = { ok: false, code: 'head_too_old', checks: [] } as const;
    assert.deepEqual(await ask({ judgeHeads: () => late }, 1), [401]);
  });

  it('opens nothing after the lease on the key of the models has ended', async () => {
    let runs = true;
    const changes = { leaseRuns: () => runs };
    const refused = ask(changes, 2, () => {
      runs = false;
    });
    await assert.rejects(refused, { name: 'ChannelError' });
  });

  it('fetches keys once, and again when a token does not verify, at most every 10 s', async () => {
    let fetched = 0;
    let shift = 0;
    const changes = {
      now: () => new Date(Date.now() + shift),
      issuerKeys: (real: Jwk) => Promise.resolve(++fetched === 1 ? [] : [real]),
    };
    const statuses = await ask(changes, 4, () => {
      shift += 6_000;
    });
    assert.deepEqual(statuses, [401, 401, 200, 200]);
    assert.equal(fetched, 2);
  });
});
