import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { jwkThumbprint } from '@cloister/crypto';
import {
  createWorld,
  ISSUER,
  p256,
  publicJwk,
  type World,
} from '../../services/key-broker/src/scene.test.ts';

let world: World;
before(async () => {
  world = await createWorld();
});
after(() => world.close());

/** Moves the counter by one, as a service that proves itself by a token of the issuer's old key. */
async function move(): Promise<string> {
  const identity = await world.identity('records');
  const signCall = { key: identity.sigKey.privateKey, token: () => identity.token() };
  const client = world.client('hospital', signCall);
  const at = await client.readCounter('records-log');
  assert.ok(at.ok);
  const { value } = at.claims;
  const step = { expected: value, next: value + 1, digest: 'ab'.repeat(32) };
  const result = await client.advanceCounter('records-log', step);
  return result.ok ? 'moved' : result.code;
}

describe('a key of the issuer that has ended', () => {
  it('counts no more from the manifest on that no longer names it, though it is still published', async () => {
    assert.equal(await move(), 'moved');
    const next = await publicJwk(await p256());
    const issuers = [{ iss: ISSUER, keys: [await jwkThumbprint(next)], tee: ['simulated'] }];
    await world.agree(world.next({ issuers }));
    assert.equal(await move(), 'token_kid_unknown');
  });
});
