import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { signPartyStatement } from '@cloister/client';
import {
  decodeUtf8,
  encodeBase64url,
  encodeUtf8,
  parseJsonObject,
  type JsonObject,
} from '@cloister/bytes';
import { jwkThumbprint } from '@cloister/crypto';
import { createWorld, ISSUER, random, type RunningBroker, type World } from '../scene.test.ts';

const POLICY = {
  version: '1.0.0',
  anyOf: [{ authority: ISSUER, allOf: [{ claim: 'x-ms-attestation-type', equals: 'simulated' }] }],
};

let world: World;
let running: RunningBroker;
before(async () => {
  world = await createWorld();
  running = world.running.get('diagnostics') ?? assert.fail();
  const said = {
    purpose: 'vault-import' as const,
    party: 'diagnostics',
    manifest: world.manifest.id,
    keys: ['model-key'],
    exp: world.at.getTime() / 1000 + 600,
  };
  const [key = assert.fail()] = world.voice('diagnostics').keys;
  const answer = await ask(
    'PUT',
    '/keys/model-key',
    {
      key: { kty: 'oct', k: encodeBase64url(random(32)) },
      attributes: { exportable: true },
      release_policy: { data: encodeBase64url(encodeUtf8(JSON.stringify(POLICY))) },
    },
    await signPartyStatement(said, key),
  );
  assert.equal(answer, 'ok');
});
after(() => world.close());

/** What the vault says: `ok`, or why not. */
async function ask(method: string, path: string, body: JsonObject, bearer = 'x'): Promise<string> {
  const response = await running.vault.request(`${path}?api-version=7.4`, {
    method,
    headers: { authorization: `Bearer ${bearer}`, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  const { error } = (await response.json()) as { error?: { message: string } };
  return error?.message ?? 'ok';
}
const release = (target: string) => ask('POST', '/keys/model-key/release', { target });

describe('a release by the token of our own service', () => {
  it('is given where it runs by this manifest', async () => {
    const identity = await world.identity('inference');
    assert.equal(await release(await identity.token()), 'ok');
  });

  it('is refused to the same code that was started with another configuration', async () => {
    const identity = await world.identity('inference', { manifest: 'dd'.repeat(32) });
    assert.match(await release(await identity.token()), /manifest_mismatch/);
  });

  it('is refused to runtime data that are ours in parts, or of another service', async () => {
    const { runtimeData } = await (await world.identity('inference')).evidence();
    const data = parseJsonObject(decodeUtf8(runtimeData));
    const shown = (members: JsonObject) =>
      world
        .token('inference', encodeUtf8(JSON.stringify({ ...data, ...members })))
        .then((token) => release(token));
    assert.match(await shown({ admin: true }), /runtime_data_malformed/);
    assert.match(await shown({ service: 'records' }), /service_mismatch/);
    assert.equal(await shown({}), 'ok');
  });

  it('is refused to a token that the issuer gave under another policy', async () => {
    const issuers = [
      {
        iss: ISSUER,
        keys: [await jwkThumbprint(world.issuerJwk)],
        tee: ['simulated'],
        policyHash: 'q'.repeat(43),
      },
    ];
    await world.agree(world.next({ issuers }));
    const identity = await world.identity('inference');
    assert.match(await release(await identity.token()), /token_policy/);
    const { runtimeData } = await identity.evidence();
    const agreed = { 'x-ms-policy-hash': 'q'.repeat(43) };
    assert.equal(
      await release(await world.token('inference', runtimeData, undefined, agreed)),
      'ok',
    );
  });
});
