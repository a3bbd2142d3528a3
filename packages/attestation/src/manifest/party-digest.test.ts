import assert from 'node:assert/strict';
import { it } from 'node:test';
import { encodeHex } from '@cloister/bytes';
import { partyKeysDigest } from './party-digest.ts';

const key = (letter: string) => ({
  kty: 'EC',
  crv: 'P-256',
  x: letter.repeat(43),
  y: letter.repeat(43),
});

it('the digest of a party’s keys is that of all of them, in any order and by any name', async () => {
  const of = async (...keys: ReturnType<typeof key>[]) =>
    encodeHex(await partyKeysDigest({ keys }));
  const both = await of(key('A'), key('B'));
  assert.equal(await of(key('B'), key('A')), both);
  const named = { ...key('A'), kid: 'x', use: 'sig' };
  assert.equal(await of(named, key('B')), both);
  const others = [
    await of(key('A')),
    await of(key('A'), key('C')),
    await of(key('A'), key('B'), key('C')),
  ];
  assert.equal(new Set([both, ...others]).size, 4);
});
