import assert from 'node:assert/strict';
import { it } from 'node:test';
import { Heads } from './heads.ts';

it('a broker that ends lets nobody wait for its next head', async () => {
  const { privateKey } = await crypto.subtle.generateKey(
    { name: 'ECDSA', namedCurve: 'P-256' },
    false,
    ['sign', 'verify'],
  );
  const heads = new Heads();
  const head = {
    deployment: 'lamna',
    party: 'hospital',
    manifest: 'ab'.repeat(32),
    serial: 1,
    time: 1,
    logSize: 1,
    logRoot: 'cd'.repeat(32),
  };
  const { hash } = await heads.issue(head, privateKey);
  const hour = 3600_000;
  const waiting = heads.wait(hash, hour);
  heads.close();
  await waiting;
  await heads.wait(hash, hour);
  assert.equal(heads.newest?.hash, hash);
});
