import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import type { VaultAgreement } from '@cloister/attestation';
import {
  decodeUtf8,
  encodeBase64,
  encodeBase64url,
  parseJsonObject,
  type Bytes,
  type JsonObject,
} from '@cloister/bytes';
import { extendedKeyUsageExtension, parseJws } from '@cloister/crypto';
import { openVaultRelease, wrappingFor } from './vault-release.ts';
import {
  agreementOn,
  AT,
  HOST,
  KEY,
  makeChain,
  makeEncKey,
  payloadOf,
  random,
  signRelease,
  VALUE,
  VERSION,
  wrapFor,
  type Holder,
} from './vault-scene.test.ts';

const NONCE = random(32);
let chain: readonly [Holder, Holder, Holder];
let vault: VaultAgreement;
let enc: CryptoKeyPair;
let ciphertext: Bytes;
let good: string;
before(async () => {
  chain = await makeChain();
  vault = await agreementOn(chain[2]);
  enc = await makeEncKey();
  ciphertext = await wrapFor(enc.publicKey);
  good = await signRelease(payloadOf(ciphertext), chain);
});

type Changes = Partial<Parameters<typeof openVaultRelease>[1]>;
const open = (jws: string, changes: Changes = {}) =>
  openVaultRelease(jws, {
    vault,
    key: KEY,
    version: VERSION,
    decryptKey: enc.privateKey,
    nonce: NONCE,
    at: AT,
    ...changes,
  });

/** Refused for one reason: every other check that was made passed. */
async function refuses(jws: string, code: string, changes: Changes = {}): Promise<void> {
  const verdict = await open(jws, changes);
  assert.ok(!verdict.ok);
  assert.equal(verdict.code, code);
  const failed = verdict.checks.filter(({ outcome }) => outcome === 'failed');
  assert.deepEqual(
    failed.map((check) => check.code),
    [code],
  );
}

/** The good payload with members below `request` and `response.key` changed. */
function changed(change: { readonly request?: JsonObject; readonly key?: JsonObject }): JsonObject {
  const payload = structuredClone(payloadOf(ciphertext)) as {
    request: JsonObject;
    response: { key: { key: JsonObject } };
  };
  Object.assign(payload.request, change.request);
  Object.assign(payload.response.key.key, change.key);
  return payload;
}

describe('openVaultRelease', () => {
  it('opens what a vault released, and lists every check', async () => {
    const verdict = await open(good);
    assert.ok(verdict.ok, JSON.stringify(verdict));
    assert.deepEqual(verdict.claims, { value: VALUE, immutable: true });
    assert.equal(verdict.checks.length, 12);
    assert.ok(verdict.checks.every(({ outcome }) => outcome !== 'failed'));
  });

  it('says that the release policy can be changed, where the vault does not say otherwise', async () => {
    const payload = structuredClone(payloadOf(ciphertext)) as {
      response: { key: { release_policy: JsonObject } };
    };
    delete payload.response.key.release_policy['immutable'];
    const verdict = await open(await signRelease(payload, chain));
    assert.ok(verdict.ok && !verdict.claims.immutable);
  });

  for (const [hash, wrapping] of [
    ['SHA-1', 'CKM_RSA_AES_KEY_WRAP'],
    ['SHA-384', 'RSA_AES_KEY_WRAP_384'],
  ] as const)
    it(`opens ${wrapping} by a key with ${hash}`, async () => {
      const key = await makeEncKey(hash);
      assert.equal(wrappingFor(key.privateKey), wrapping);
      ciphertext = await wrapFor(key.publicKey);
      const jws = await signRelease(changed({ request: { enc: wrapping } }), chain);
      const verdict = await open(jws, { decryptKey: key.privateKey });
      ciphertext = await wrapFor(enc.publicKey);
      assert.ok(verdict.ok);
      assert.deepEqual(verdict.claims.value, VALUE);
    });

  it('takes the certificate of many vaults, and a host with a port', async () => {
    const many = await makeChain({ leaf: { hosts: ['*.vault.azure.net'] } });
    const agreed = await agreementOn(many[2]);
    const verdict = await open(await signRelease(payloadOf(ciphertext), many), { vault: agreed });
    assert.ok(verdict.ok);
    const url = `https://${HOST}:8443`;
    const kid = `${url}/keys/${KEY}/${VERSION}`;
    const jws = await signRelease(changed({ request: { kid }, key: { kid } }), chain);
    assert.ok((await open(jws, { vault: { ...vault, url } })).ok);
  });

  it('takes an authority below the root where the manifest pins that one', async () => {
    const { roots } = await agreementOn(chain[1]);
    assert.ok((await open(good, { vault: { ...vault, roots } })).ok);
    const short = await signRelease(payloadOf(ciphertext), chain.slice(0, 2));
    assert.ok((await open(short, { vault: { ...vault, roots } })).ok);
  });
});

describe('a release by a vault that the manifest does not name', () => {
  it('is refused under another root, of the same name', async () => {
    const other = await makeChain({ keys: 'other' });
    await refuses(await signRelease(payloadOf(ciphertext), other), 'vault_authority_foreign');
  });

  it('is refused where only the leaf is pinned, or the chain lacks its authority', async () => {
    const { roots } = await agreementOn(chain[0]);
    await refuses(good, 'vault_authority_foreign', { vault: { ...vault, roots } });
    const short = await signRelease(payloadOf(ciphertext), chain.slice(0, 2));
    await refuses(short, 'vault_authority_foreign');
  });

  it('is refused where the pinned root stands in the chain, and has not signed it', async () => {
    const [leaf, middle] = await makeChain({ keys: 'other' });
    const jws = await signRelease(payloadOf(ciphertext), [leaf, middle, chain[2]]);
    await refuses(jws, 'vault_certificate_bad_signature');
  });

  for (const [name, hosts] of [
    ['another vault', ['fabrikam.vault.azure.net']],
    ['a host with this one as its parent', [`x.${HOST}`]],
    ['a star for two labels', ['*.azure.net']],
    ['a star in a label', ['lam*.vault.azure.net']],
    ['a star alone', ['*']],
    ['its name as a part', [`${HOST}.example`]],
  ] as const)
    it(`is refused where the certificate names ${name}`, async () => {
      const other = await makeChain({ leaf: { hosts } });
      const agreed = await agreementOn(other[2]);
      const jws = await signRelease(payloadOf(ciphertext), other);
      await refuses(jws, 'vault_host_mismatch', { vault: agreed });
    });

  it('is refused where the name stands in the subject only', async () => {
    const other = await makeChain({ leaf: { hosts: ['other.example'] } });
    const agreed = await agreementOn(other[2]);
    const jws = await signRelease(payloadOf(ciphertext), other);
    await refuses(jws, 'vault_host_mismatch', { vault: agreed });
  });
});

describe('a release by certificates that do not hold', () => {
  const early = new Date(AT.getTime() - 2000);
  const late = new Date(AT.getTime() + 2000);
  for (const [name, terms, code] of [
    ['a leaf that has ended', { leaf: { until: early } }, 'expired'],
    ['a leaf of tomorrow', { leaf: { from: late } }, 'not_yet_valid'],
    ['an authority that has ended', { middle: { until: early } }, 'expired'],
    ['a root that has ended', { root: { until: early } }, 'expired'],
    ['an authority that is none', { middle: { ca: false } }, 'not_a_ca'],
    [
      'an authority that may not certify',
      { middle: { usage: ['digitalSignature'] } },
      'no_key_cert_sign',
    ],
    ['an authority too deep', { root: { pathLength: 0 } }, 'path_too_long'],
    ['a leaf that is an authority', { leaf: { ca: true } }, 'ca_as_leaf'],
    [
      'a leaf with a rule that nobody understands',
      { leaf: { more: [{ ...extendedKeyUsageExtension('serverAuth'), critical: true }] } },
      'unknown_critical_extension',
    ],
  ] as const)
    it(`is refused: ${name}`, async () => {
      const other = await makeChain(terms);
      const agreed = await agreementOn(other[2]);
      const verdict = await open(await signRelease(payloadOf(ciphertext), other), {
        vault: agreed,
      });
      assert.ok(!verdict.ok);
      assert.equal(verdict.code, `vault_certificate_${code}`);
    });

  it('is refused: a key that may not sign', async () => {
    const other = await makeChain({ leaf: { usage: ['keyEncipherment'] } });
    const agreed = await agreementOn(other[2]);
    const jws = await signRelease(payloadOf(ciphertext), other);
    await refuses(jws, 'vault_certificate_usage', { vault: agreed });
  });

  it('is refused: no certificate, one alone, six, and what is none', async () => {
    const [leaf, middle, root] = chain;
    const many = [leaf, middle, middle, middle, middle, root];
    for (const holders of [[leaf], many])
      await refuses(
        await signRelease(payloadOf(ciphertext), holders),
        'vault_certificate_malformed',
      );
    const none = await signRelease(payloadOf(ciphertext), chain, { x5c: [] });
    await refuses(none, 'vault_certificate_malformed');
    const junk = await signRelease(payloadOf(ciphertext), chain, { x5c: ['AAAA', 'AAAA'] });
    await refuses(junk, 'vault_certificate_malformed');
    for (const x5c of [[1], 'x', ['%%']]) {
      const jws = await signRelease(payloadOf(ciphertext), chain, { x5c });
      await refuses(jws, 'release_malformed');
    }
  });
});

describe('a release that is not the one that was asked for', () => {
  it('is refused: signed by another key than the leaf’s', async () => {
    const other = await makeChain({ keys: 'other' });
    const x5c = chain.map(({ der }) => encodeBase64(der));
    await refuses(await signRelease(payloadOf(ciphertext), other, { x5c }), 'release_not_signed');
  });

  it('is refused: with a header that must be understood', async () => {
    const jws = await signRelease(payloadOf(ciphertext), chain, { crit: ['x'], x: 1 });
    await refuses(jws, 'release_not_signed');
  });

  for (const [name, change, code] of [
    ['another key', { key: { kid: `https://${HOST}/keys/other/${VERSION}` } }, 'of_another'],
    [
      'another version',
      { key: { kid: `https://${HOST}/keys/${KEY}/${'0b'.repeat(16)}` } },
      'of_another',
    ],
    [
      'the same key of another vault under one certificate',
      { key: { kid: `https://other.vault.azure.net/keys/${KEY}/${VERSION}` } },
      'of_another',
    ],
    ['no version', { key: { kid: `https://${HOST}/keys/${KEY}` } }, 'of_another'],
    ['an answer to another request', { request: { kid: `https://${HOST}/keys/x` } }, 'of_another'],
    ['another wrapping', { request: { enc: 'CKM_RSA_AES_KEY_WRAP' } }, 'wrapping'],
  ] as const)
    it(`is refused: ${name}`, async () => {
      await refuses(await signRelease(changed(change), chain), `release_${code}`);
    });

  it('is refused: an answer to another nonce', async () => {
    const ours = { request: { nonce: encodeBase64url(NONCE) } };
    assert.ok((await open(await signRelease(changed(ours), chain))).ok);
    const theirs = { request: { nonce: encodeBase64url(random(32)) } };
    await refuses(await signRelease(changed(theirs), chain), 'nonce_mismatch');
  });

  it('is refused: wrapped to another key, or changed on the way', async () => {
    const other = await makeEncKey();
    await refuses(good, 'release_not_for_us', { decryptKey: other.privateKey });
    const wraps: Bytes[] = [ciphertext.slice(0, 200), ciphertext.slice(0, 256), new Uint8Array(1)];
    for (const at of [0, 255, 256, ciphertext.length - 1]) {
      const flipped = ciphertext.slice();
      flipped[at] = (flipped[at] ?? 0) ^ 1;
      wraps.push(flipped);
    }
    wraps.push(await wrapFor(enc.publicKey, VALUE, 16));
    for (const wrapped of wraps)
      await refuses(await signRelease(payloadOf(wrapped), chain), 'release_not_for_us');
  });
});

describe('a release that is none', () => {
  it('is refused: every shorter one, every changed character, noise, too much', async () => {
    for (let length = 0; length < good.length; length += 37)
      assert.ok(!(await open(good.slice(0, length))).ok);
    for (let at = 0; at < good.length; at += 53) {
      const other = good[at] === 'A' ? 'B' : 'A';
      const verdict = await open(`${good.slice(0, at)}${other}${good.slice(at + 1)}`);
      assert.ok(!verdict.ok, `at ${at}`);
    }
    for (let i = 0; i < 50; i++) {
      const noise = [1, 2, 3].map(() => encodeBase64url(random(i))).join('.');
      await refuses(noise, 'release_malformed');
    }
    await refuses(`${good.slice(0, -1)}${'A'.repeat(200_000)}`, 'release_malformed');
  });

  it('is refused: a payload that is signed and says nothing, or says it too deep', async () => {
    const payload = payloadOf(ciphertext);
    const deep = `{"request":${'['.repeat(50)}${']'.repeat(50)}}`;
    for (const text of [
      '',
      '[]',
      '{}',
      deep,
      JSON.stringify({ ...payload, request: null }),
      JSON.stringify({ ...payload, response: {} }),
      JSON.stringify(payload).replace('"enc"', '"enc":"x","enc"'),
      JSON.stringify(changed({ key: { key_hsm: 'e30' } })),
      JSON.stringify(changed({ key: { key_hsm: '?' } })),
    ])
      await refuses(await signRelease(text, chain), 'release_malformed');
  });

  it('names no content: neither of the release nor of the key', async () => {
    const { header } = parseJws(good);
    const verdict = await open(good, { at: new Date(0) });
    const text = JSON.stringify(verdict);
    const [leaf = ''] = header['x5c'] as string[];
    for (const secret of [leaf, encodeBase64url(VALUE)]) assert.ok(!text.includes(secret));
    assert.ok(parseJsonObject(decodeUtf8(parseJws(good).payload)));
  });
});
