import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { encodeBase64url } from '@cloister/bytes';
import {
  AT,
  createScene,
  makeEnvelope,
  makeP256,
  random,
  verifyInScene,
  type Scene,
} from './scene.test.ts';

let scene: Scene;
before(async () => {
  scene = await createScene();
});

/** Tokens that each lack another thing: of two, whatever one lacks, the other has. */
async function flawedTokens(): Promise<Readonly<Record<string, string>>> {
  const now = AT.getTime() / 1000;
  const other = await makeP256();
  const [expired, foreign, debuggable, elsewhere, anothers] = await Promise.all([
    makeEnvelope(scene, {
      token: (payload) => ({ ...payload, iat: now - 7200, nbf: now - 7200, exp: now - 3600 }),
    }),
    makeEnvelope({ ...scene, issuerKeys: other }),
    makeEnvelope(scene, { token: (payload) => ({ ...payload, 'x-ms-sgx-is-debuggable': true }) }),
    makeEnvelope(scene, { token: (payload) => ({ ...payload, iss: 'https://other.example' }) }),
    makeEnvelope(scene, { runtime: { nonce: encodeBase64url(random(32)) } }),
  ]);
  return {
    'that has expired': expired.tokens[0],
    'by a key that nobody pinned': foreign.tokens[0],
    'of a debug enclave': debuggable.tokens[0],
    'of an issuer that nobody named': elsewhere.tokens[0],
    'of other evidence': anothers.tokens[0],
  };
}

describe('two tokens that only together would do', () => {
  it('earn nothing, in any pair and order; one that does is found among them', async () => {
    const envelope = await makeEnvelope(scene);
    const flawed = await flawedTokens();
    for (const [one, first] of Object.entries(flawed))
      for (const [two, second] of Object.entries(flawed)) {
        // oxlint-disable-next-line no-await-in-loop -- one after the other keeps failures readable
        const result = await verifyInScene(scene, { ...envelope, tokens: [first, second] });
        assert.ok(!result.ok, `a token ${one} beside one ${two}`);
      }
    const all = [...Object.values(flawed), ...envelope.tokens];
    const found = await verifyInScene(scene, { ...envelope, tokens: all });
    assert.ok(found.ok, JSON.stringify(found.checks.filter(({ outcome }) => outcome === 'failed')));
  });
});
