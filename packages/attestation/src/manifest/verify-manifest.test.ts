import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import type { JsonObject } from '@cloister/bytes';
import { signJws } from '@cloister/crypto';
import { createScene, draftManifest, makeP256, publicJwk, type Scene } from '../peer/scene.test.ts';
import { manifestId, type Manifest } from './manifest.ts';
import { parseManifest } from './parse-manifest.ts';
import { MANIFEST_TYP, signManifest } from './sign-manifest.ts';
import { keysOf, verifyManifest, type ManifestTrust } from './verify-manifest.ts';

let scene: Scene;
let first: Manifest;
before(async () => {
  scene = await createScene();
  first = scene.manifest.manifest;
});

type Signers = Readonly<Record<string, CryptoKeyPair | undefined>>;

async function signatures(manifest: Manifest, signers: Signers = scene.parties) {
  const id = await manifestId(manifest);
  const out: Record<string, string> = {};
  for (const [party, keys] of Object.entries(signers))
    if (keys !== undefined) out[party] = await signManifest(id, party, keys.privateKey);
  return out;
}

async function codeOf(
  manifest: Manifest,
  jws: Readonly<Record<string, string>>,
  trust: ManifestTrust,
): Promise<string> {
  const result = await verifyManifest(manifest, jws, trust);
  const failed = result.checks.filter(({ outcome }) => outcome === 'failed');
  assert.equal(failed.length, result.ok ? 0 : 1, JSON.stringify(failed));
  return result.ok ? 'ok' : result.code;
}

/** The manifest that follows another one. */
async function next(members: JsonObject = {}): Promise<Manifest> {
  const previous = await manifestId(first);
  return parseManifest(
    JSON.stringify({ ...(await draftManifest(scene)), serial: 2, previous, ...members }),
  );
}

const pinned = () => ({ pinned: keysOf(first) });
const after = (rest: Partial<ManifestTrust> = {}): ManifestTrust => ({
  pinned: undefined,
  predecessor: scene.manifest,
  ...rest,
});

describe('verifyManifest of serial 1', () => {
  it('takes the signatures of those whose keys were given out of band', async () => {
    const result = await verifyManifest(first, await signatures(first), {
      ...pinned(),
      ownParty: 'hospital',
      lowestSerial: 1,
    });
    assert.ok(result.ok);
    assert.equal(result.claims.id, await manifestId(first));
    assert.deepEqual(result.claims.signers, ['diagnostics', 'hospital', 'platform']);
    assert.equal(result.claims.anchored, true);
  });

  it('is satisfied by a quorum that has the own party in it', async () => {
    const { hospital, platform } = scene.parties;
    const jws = await signatures(first, { hospital, platform });
    assert.equal(await codeOf(first, jws, { ...pinned(), ownParty: 'hospital' }), 'ok');
  });

  it('refuses a quorum without the own party', async () => {
    const { diagnostics, platform } = scene.parties;
    const jws = await signatures(first, { diagnostics, platform });
    const trust = { ...pinned(), ownParty: 'hospital' };
    assert.equal(await codeOf(first, jws, trust), 'own_party_missing');
    assert.equal(
      await codeOf(first, jws, { ...pinned(), ownParty: 'nobody' }),
      'own_party_missing',
    );
  });

  it('wants all pinned parties where none is its own', async () => {
    const { hospital, platform } = scene.parties;
    const jws = await signatures(first, { hospital, platform });
    assert.equal(await codeOf(first, jws, pinned()), 'own_party_missing');
  });

  it('refuses too few signatures', async () => {
    const { hospital } = scene.parties;
    const jws = await signatures(first, { hospital });
    const result = await verifyManifest(first, jws, { ...pinned(), ownParty: 'hospital' });
    assert.equal(result.ok ? 'ok' : result.code, 'quorum_missing');
  });

  it('refuses a manifest whose own keys are an attacker’s, though it names the same parties', async () => {
    const [hospital, platform, diagnostics] = await Promise.all([
      makeP256(),
      makeP256(),
      makeP256(),
    ]);
    const parties = { hospital, platform, diagnostics };
    const evil = parseManifest(JSON.stringify(await draftManifest({ ...scene, parties })));
    const jws = await signatures(evil, parties);
    const result = await verifyManifest(evil, jws, { ...pinned(), ownParty: 'hospital' });
    assert.equal(result.ok ? 'ok' : result.code, 'old_quorum_missing');
  });

  it('refuses a quorum that the manifest itself made small', async () => {
    const draft = {
      ...(await draftManifest(scene)),
      quorum: { update: { of: ['platform'], min: 1 } },
    };
    const small = parseManifest(JSON.stringify(draft));
    const jws = await signatures(small, { platform: scene.parties.platform });
    assert.equal(
      await codeOf(small, jws, { ...pinned(), ownParty: 'hospital' }),
      'own_party_missing',
    );
  });

  it('is judged by its own keys where none are given, and says so', async () => {
    const result = await verifyManifest(first, await signatures(first), { pinned: undefined });
    assert.ok(result.ok);
    assert.equal(result.claims.anchored, false);
    const none = await verifyManifest(first, {}, { pinned: undefined });
    assert.equal(none.ok ? 'ok' : none.code, 'quorum_missing');
  });

  it('refuses where no key at all is pinned', async () => {
    const result = await verifyManifest(first, await signatures(first), { pinned: {} });
    assert.equal(result.ok ? 'ok' : result.code, 'no_trusted_keys');
  });

  it('counts one key once, under however many names it was pinned', async () => {
    const { hospital } = scene.parties;
    const key = await publicJwk(hospital);
    const jws = await signatures(first, { hospital, platform: hospital });
    const result = await verifyManifest(first, jws, {
      pinned: { hospital: [key], platform: [key] },
      ownParty: 'hospital',
    });
    assert.ok(!result.ok);
    const failed = result.checks.filter(({ outcome }) => outcome === 'failed');
    assert.ok(failed.some(({ check }) => check === 'quorum of those before'));
  });

  it('refuses a serial below the lowest', async () => {
    const trust = { ...pinned(), lowestSerial: 2 };
    assert.equal(await codeOf(first, await signatures(first), trust), 'serial_too_low');
  });
});

async function withSignature(party: string, make: (id: string) => Promise<string>) {
  const jws = await signatures(first);
  jws[party] = await make(await manifestId(first));
  return codeOf(first, jws, { ...pinned(), ownParty: 'hospital' });
}
const platformKey = () => scene.parties.platform.privateKey;

const forged = (header: JsonObject, payload: (id: string) => string, detached = true) =>
  withSignature('platform', async (id) =>
    signJws({ alg: 'ES256', key: platformKey(), header, payload: payload(id), detached }),
  );

describe('verifyManifest of signatures', () => {
  it('refuses one over another manifest', async () => {
    const code = await withSignature('platform', () =>
      signManifest('00'.repeat(32), 'platform', platformKey()),
    );
    assert.equal(code, 'signature_invalid');
  });

  it('refuses one made in the name of another party', async () => {
    const code = await withSignature('platform', (id) =>
      signManifest(id, 'hospital', platformKey()),
    );
    assert.equal(code, 'signature_invalid');
  });

  it('refuses one by the key of another party', async () => {
    const { diagnostics } = scene.parties;
    const code = await withSignature('platform', (id) =>
      signManifest(id, 'platform', diagnostics.privateKey),
    );
    assert.equal(code, 'signature_invalid');
  });

  it('refuses one that was made for another purpose', async () => {
    const header = { typ: 'JWT', party: 'platform' };
    assert.equal(await forged(header, (id) => id), 'signature_invalid');
    assert.equal(await forged({ typ: MANIFEST_TYP, party: 'platform' }, (id) => id), 'ok');
  });

  it('refuses one that brings its own payload', async () => {
    const header = { typ: MANIFEST_TYP, party: 'platform' };
    assert.equal(await forged(header, (id) => id, false), 'signature_invalid');
  });

  it('refuses one of a party that nobody knows', async () => {
    const code = await withSignature('stranger', (id) =>
      signManifest(id, 'stranger', platformKey()),
    );
    assert.equal(code, 'signature_invalid');
  });

  it('refuses what is no signature', async () => {
    for (const text of ['', 'a.b.c', '..'])
      assert.equal(
        await withSignature('platform', () => Promise.resolve(text)),
        'signature_invalid',
      );
  });

  it('is over the id: any change of the manifest undoes them all', async () => {
    const changed = parseManifest(JSON.stringify({ ...(await draftManifest(scene)), lease: 901 }));
    const result = await verifyManifest(changed, await signatures(first), pinned());
    assert.ok(!result.ok);
    assert.equal(result.code, 'signature_invalid');
  });
});

describe('verifyManifest after a predecessor', () => {
  it('takes the next serial', async () => {
    const second = await next();
    assert.equal(await codeOf(second, await signatures(second), after()), 'ok');
  });

  it('refuses a serial that is left out', async () => {
    const third = await next({ serial: 3 });
    assert.equal(await codeOf(third, await signatures(third), after()), 'predecessor_mismatch');
  });

  it('refuses the same serial again', async () => {
    assert.equal(await codeOf(first, await signatures(first), after()), 'predecessor_mismatch');
  });

  it('refuses another predecessor', async () => {
    const other = await next({ previous: '00'.repeat(32) });
    assert.equal(await codeOf(other, await signatures(other), after()), 'predecessor_mismatch');
  });

  it('refuses another deployment', async () => {
    const other = await next({ deployment: 'other' });
    assert.equal(await codeOf(other, await signatures(other), after()), 'predecessor_mismatch');
  });

  it('needs the quorum of the predecessor by its keys, not only its own', async () => {
    const fresh = await makeP256();
    const parties = { ...scene.parties, hospital: fresh, diagnostics: await makeP256() };
    const draft = await draftManifest({ ...scene, parties });
    const second = await next({ parties: draft['parties'] ?? null });
    const result = await verifyManifest(second, await signatures(second, parties), after());
    assert.equal(result.ok ? 'ok' : result.code, 'old_quorum_missing');
  });

  it('lets one party change its key, if the others carry it', async () => {
    const parties = { ...scene.parties, diagnostics: await makeP256() };
    const draft = await draftManifest({ ...scene, parties });
    const second = await next({ parties: draft['parties'] ?? null });
    const jws = await signatures(second, parties);
    assert.equal(await codeOf(second, jws, after({ ownParty: 'hospital' })), 'ok');
    assert.equal(
      await codeOf(second, jws, after({ ownParty: 'diagnostics' })),
      'own_party_missing',
    );
  });

  it('binds no party that has not signed, whatever the quorum', async () => {
    const second = await next();
    const { hospital, platform } = scene.parties;
    const jws = await signatures(second, { hospital, platform });
    assert.equal(await codeOf(second, jws, after({ ownParty: 'hospital' })), 'ok');
    assert.equal(
      await codeOf(second, jws, after({ ownParty: 'diagnostics' })),
      'own_party_missing',
    );
  });

  it('does not fall back to pinned keys', async () => {
    const [hospital, platform, diagnostics] = await Promise.all([
      makeP256(),
      makeP256(),
      makeP256(),
    ]);
    const parties = { hospital, platform, diagnostics };
    const draft = await draftManifest({ ...scene, parties });
    const second = await next({ parties: draft['parties'] ?? null });
    const result = await verifyManifest(
      second,
      await signatures(second, parties),
      after({ pinned: keysOf(second) }),
    );
    assert.equal(result.ok, false);
  });
});
