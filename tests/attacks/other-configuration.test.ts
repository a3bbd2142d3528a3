import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import {
  manifestId,
  parseManifest,
  platformRootDigest,
  signManifest,
  verifyCaller,
  verifyManifest,
  verifyPeer,
} from '@cloister/attestation';
import type { JsonObject } from '@cloister/bytes';
import { jwkThumbprint } from '@cloister/crypto';
import {
  createEmptyWorld,
  createWorld,
  p256,
  PARTIES,
  publicJwk,
  random,
  type World,
} from '../../services/key-broker/src/scene.test.ts';

let world: World;
before(async () => {
  world = await createWorld();
});
after(() => world.close());

/** Hostile configurations: what the host would change in the agreement, and nothing else. */
const CHANGES: Readonly<Record<string, (draft: JsonObject) => Promise<JsonObject>>> = {
  'another identity provider': async (draft) => {
    const services = draft['services'] as Record<string, JsonObject>;
    const identityProvider = {
      issuer: 'https://login.attacker.example',
      keys: [await jwkThumbprint(await publicJwk(await p256()))],
      audience: 'records',
    };
    return {
      ...draft,
      services: { ...services, records: { ...services['records'], config: { identityProvider } } },
    };
  },
  'another key broker': async (draft) => {
    const parties = draft['parties'] as Record<string, JsonObject>;
    const sig = { ...(await publicJwk(await p256())) };
    const hospital = { ...parties['hospital'], broker: { sig, witness: 'diagnostics' } };
    return { ...draft, parties: { ...parties, hospital } };
  },
  'other roots of evidence': async (draft) => {
    const { platform } = await createEmptyWorld();
    const simulated = [await platformRootDigest(platform)];
    return { ...draft, evidence: { roots: { simulated }, platforms: 'any' } };
  },
  'another issuer of tokens': async (draft) => {
    const keys = [await jwkThumbprint(await publicJwk(await p256()))];
    const issuers = [{ iss: 'https://attest.attacker.example', keys, tee: ['simulated'] }];
    return { ...draft, issuers };
  },
};

/**
 * The id of a manifest that the host wrote: with keys of its own for all parties, for it has no
 * others, and signed by them. The measured code starts with it, as it starts with any.
 */
async function hostileManifest(
  change: (draft: JsonObject) => Promise<JsonObject>,
): Promise<string> {
  const draft = await change(world.draft);
  const parties = { ...(draft['parties'] as Record<string, JsonObject>) };
  const keys = new Map<string, CryptoKey>();
  for (const party of PARTIES) {
    const pair = await p256();
    keys.set(party, pair.privateKey);
    parties[party] = { ...parties[party], keys: [{ ...(await publicJwk(pair)) }] };
  }
  const manifest = parseManifest(JSON.stringify({ ...draft, parties }));
  const id = await manifestId(manifest);
  const signatures: Record<string, string> = {};
  for (const [party, key] of keys) signatures[party] = await signManifest(id, party, key);
  const verdict = await verifyManifest(manifest, signatures, {
    pinned: undefined,
    ownParty: 'hospital',
  });
  assert.ok(verdict.ok, 'a service that is told nothing out of band starts with it');
  return id;
}

const failedOf = (result: {
  checks: readonly { check: string; outcome: string; code?: string }[];
}) => result.checks.filter(({ outcome }) => outcome === 'failed').map(({ code }) => code);

describe('the same code, started with another configuration', () => {
  for (const [what, change] of Object.entries(CHANGES))
    describe(what, () => {
      let identity: Awaited<ReturnType<World['identity']>>;
      before(async () => {
        identity = await world.identity('records', { manifest: await hostileManifest(change) });
      });

      it('gets no key from the broker of the hospital', async () => {
        const query = { service: 'records', identity };
        for (const name of ['tenant-key', 'channel-key']) {
          const result = await world.client('hospital').fetchSecret({ ...query, name });
          assert.ok(!result.ok);
          assert.equal(result.code, 'manifest_mismatch');
        }
      });

      it('is refused as a peer, by that alone, by all who follow the agreement', async () => {
        const nonce = random(32);
        const result = await verifyPeer(await identity.evidence(nonce), {
          manifest: world.manifest,
          service: 'records',
          nonce,
          at: world.at,
          issuerKeys: [world.issuerJwk],
          requireToken: true,
        });
        assert.deepEqual(failedOf(result), ['manifest_mismatch']);
      });

      it('is refused as a caller, by that alone, though its token is genuine', async () => {
        const result = await verifyCaller(await identity.token(), {
          manifest: world.manifest,
          service: 'records',
          issuerKeys: [world.issuerJwk],
          at: world.at,
        });
        assert.deepEqual(failedOf(result), ['manifest_mismatch']);
      });

      it('cannot move the counter of the log', async () => {
        const signCall = { key: identity.sigKey.privateKey, token: () => identity.token() };
        const client = world.client('hospital', signCall);
        const move = { expected: 0, next: 1, digest: 'ab'.repeat(32) };
        const moved = await client.advanceCounter('records-log', move);
        assert.ok(!moved.ok);
        assert.equal(moved.code, 'manifest_mismatch');
      });
    });

  it('is nothing but the other configuration: by the agreement it gets all of it', async () => {
    const identity = await world.identity('records');
    const query = { name: 'tenant-key', service: 'records', identity };
    assert.ok((await world.client('hospital').fetchSecret(query)).ok);
  });
});
