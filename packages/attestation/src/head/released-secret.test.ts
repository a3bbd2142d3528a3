import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { encodeUtf8, type Bytes } from '@cloister/bytes';
import { decryptJwe, encryptJwe, jwkThumbprint, type Jwk } from '@cloister/crypto';
import { assertOnlyFailed, AT, makeP256, makeRsa, publicJwk, random } from '../peer/scene.test.ts';
import { createHeadScene, type HeadScene } from './head-scene.test.ts';
import {
  openReleasedSecret,
  sealReleasedSecret,
  type ReleasedSecret,
  type SecretRequest,
} from './released-secret.ts';

const NOW = AT.getTime() / 1000;
const NONCE: Bytes = new Uint8Array(32).fill(3);
let s: HeadScene;
let keys: CryptoKeyPair;
let enc: Jwk;
let thumbprint: string;
before(async () => {
  s = await createHeadScene();
  keys = await makeRsa();
  enc = await publicJwk(keys);
  thumbprint = await jwkThumbprint(enc);
});

function secretOf(changes: Partial<ReleasedSecret> = {}): ReleasedSecret {
  return {
    name: 'tenant-key',
    owner: 'hospital',
    type: 'aes256',
    service: 'records',
    manifest: s.manifest.id,
    leaseId: '0a'.repeat(16),
    epoch: 1,
    issued: NOW,
    exp: NOW + 900,
    enc: thumbprint,
    nonce: NONCE,
    versions: [
      { version: 2, value: new Uint8Array(32).fill(2), from: NOW },
      { version: 1, value: new Uint8Array(32).fill(1), from: NOW - 100, until: NOW + 5 },
    ],
    ...changes,
  };
}
const seal = (changes: Partial<ReleasedSecret> = {}, key = s.hospital, to = enc) =>
  sealReleasedSecret(secretOf(changes), { brokerKey: key.privateKey, enc: to, random });
const open = (jwe: string, changes: Partial<SecretRequest> = {}) =>
  openReleasedSecret(jwe, {
    manifest: s.manifest,
    name: 'tenant-key',
    service: 'records',
    decryptKey: keys.privateKey,
    enc,
    nonce: NONCE,
    at: AT,
    ...changes,
  });

describe('openReleasedSecret', () => {
  it('gives what the broker released, all versions of it', async () => {
    const result = await open(await seal());
    assert.ok(result.ok, JSON.stringify(result.checks));
    assert.deepEqual(result.claims, secretOf());
    assert.equal(result.checks.filter(({ outcome }) => outcome === 'passed').length, 13);
  });

  for (const [why, changes, check, code] of [
    ['another secret', { name: 'other-key' }, 'the secret that was asked for', 'secret_mismatch'],
    ['another type', { type: 'imported' }, 'the secret that was asked for', 'secret_mismatch'],
    ['another owner', { owner: 'platform' }, 'the secret that was asked for', 'secret_mismatch'],
    ['a derived value', { derive: 'x' }, 'the secret that was asked for', 'secret_mismatch'],
    ['another service', { service: 'inference' }, 'released to this service', 'service_mismatch'],
    [
      'another manifest',
      { manifest: 'cd'.repeat(32) },
      'released under this manifest',
      'manifest_mismatch',
    ],
    ['another recipient', { enc: 'A'.repeat(43) }, 'recipient is our key', 'recipient_mismatch'],
    ['an old answer', { nonce: new Uint8Array(32) }, 'answer to our nonce', 'nonce_mismatch'],
    ['a lease that is over', { exp: NOW, issued: NOW - 900 }, 'lease runs', 'lease_over'],
    ['a lease of the future', { issued: NOW + 61, exp: NOW + 900 }, 'lease runs', 'lease_over'],
    ['a longer lease', { exp: NOW + 901 }, 'lease not longer than agreed', 'lease_too_long'],
  ] as const) {
    it(`refuses ${why}`, async () => {
      assertOnlyFailed(await open(await seal(changes)), check, code);
    });
  }

  it('refuses a version older than one that was seen', async () => {
    const jwe = await seal();
    assert.ok((await open(jwe, { lowestVersion: 2 })).ok);
    const result = await open(jwe, { lowestVersion: 3 });
    assertOnlyFailed(result, 'version not older than known', 'secret_rolled_back');
  });

  it('refuses a secret without a sender', async () => {
    const header = { typ: 'cloister-secret+jwe' };
    for (const plaintext of [new Uint8Array(32).fill(0xff), encodeUtf8('a key'), encodeUtf8('')]) {
      const jwe = await encryptJwe({ key: enc, header, plaintext, random });
      assertOnlyFailed(await open(jwe), 'signed by that broker', 'sender_foreign');
    }
  });

  it('refuses a genuine broker with a foreign key, and that of another party', async () => {
    for (const sender of [await makeP256(), s.diagnostics]) {
      const result = await open(await seal({}, sender));
      assertOnlyFailed(result, 'signed by that broker', 'sender_foreign');
    }
  });

  it('refuses a statement passed on: opened by its receiver and encrypted again', async () => {
    // Another enclave that got this secret cannot hand it on as if the broker had sent it.
    const other = await makeRsa();
    const jwe = await seal(
      { enc: await jwkThumbprint(await publicJwk(other)) },
      s.hospital,
      await publicJwk(other),
    );
    const opened = await decryptJwe(jwe, { key: other.privateKey });
    assert.ok(opened.ok);
    const header = { typ: 'cloister-secret+jwe' };
    const again = await encryptJwe({ key: enc, header, plaintext: opened.plaintext, random });
    assertOnlyFailed(await open(again), 'recipient is our key', 'recipient_mismatch');
  });

  it('refuses what is encrypted to another key, or for another purpose', async () => {
    const foreign = await seal({}, s.hospital, await publicJwk(await makeRsa()));
    assertOnlyFailed(await open(foreign), 'encrypted to our key', 'secret_not_for_us');
    const opened = await decryptJwe(await seal(), { key: keys.privateKey });
    assert.ok(opened.ok);
    const { plaintext } = opened;
    const other = await encryptJwe({ key: enc, header: { typ: 'JWE' }, plaintext, random });
    assertOnlyFailed(await open(other), 'encrypted to our key', 'secret_not_for_us');
  });

  it('refuses a secret that the manifest does not give to this service', async () => {
    const jwe = await seal();
    for (const changes of [{ name: 'none' }, { service: 'inference' }, { name: 'toString' }])
      assertOnlyFailed(await open(jwe, changes), 'secret named in the manifest', 'secret_unknown');
  });

  it('refuses versions out of order', async () => {
    const [newest, old] = secretOf().versions;
    assert.ok(newest !== undefined && old !== undefined);
    for (const versions of [[old, newest], [newest, newest], []]) {
      const result = await open(await seal({ versions }));
      assertOnlyFailed(result, 'form of the statement', 'statement_malformed');
    }
  });

  it('refuses every shorter text and flipped characters', async () => {
    const jwe = await seal();
    for (let at = 1; at < jwe.length; at += 31) {
      assert.equal((await open(jwe.slice(0, at))).ok, false);
      const flipped = `${jwe.slice(0, at)}${jwe[at] === 'A' ? 'B' : 'A'}${jwe.slice(at + 1)}`;
      assert.equal((await open(flipped)).ok, false, `character ${at}`);
    }
  });
});
