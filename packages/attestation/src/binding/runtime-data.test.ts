import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { canonicalJson, encodeBase64url, encodeUtf8, type JsonObject } from '@cloister/bytes';
import { sha256 } from '@cloister/crypto';
import * as fc from 'fast-check';
import { makeP256, makeRsa, publicJwk } from '../peer/scene.test.ts';
import {
  encodeRuntimeData,
  keyOf,
  parseRuntimeData,
  reportDataFor,
  type RuntimeData,
} from './runtime-data.ts';

let good: RuntimeData;
let json: JsonObject;
let rsa1024: object;
before(async () => {
  good = {
    cloister: 1,
    service: 'inference',
    manifests: ['0a'.repeat(32), '0b'.repeat(32)],
    keys: [
      { ...(await publicJwk(await makeP256())), use: 'sig' },
      { ...(await publicJwk(await makeRsa())), use: 'enc' },
    ],
    ohttp: encodeBase64url(new Uint8Array(1300).fill(5)),
    tls: '0c'.repeat(32),
    heads: ['0d'.repeat(32)],
    nonce: encodeBase64url(new Uint8Array(16)),
    models: [{ name: 'cxr-pneumonia-cam', version: '1', digest: '0e'.repeat(32) }],
  };
  json = JSON.parse(JSON.stringify(good)) as JsonObject;
  rsa1024 = await publicJwk(await makeRsa(1024), { use: 'enc' });
});

const parse = (value: JsonObject) => parseRuntimeData(encodeUtf8(canonicalJson(value)));

const jsonKeys = () => json['keys'] as [JsonObject, JsonObject];

function refuses(name: string, change: () => JsonObject): void {
  it(`is refused with ${name}`, () => {
    assert.throws(() => parse({ ...json, ...change() }), { name: 'MalformedError' });
  });
}

describe('runtime data', () => {
  it('comes back as it was encoded', () => {
    assert.deepEqual(parseRuntimeData(encodeRuntimeData(good)), good);
    assert.equal(keyOf(good, 'enc').kty, 'RSA');
  });

  it('needs neither channel, heads, nonce nor models', () => {
    const { cloister, service, manifests, keys } = good;
    const bare = { cloister, service, manifests, keys };
    assert.deepEqual(parseRuntimeData(encodeRuntimeData(bare)), bare);
  });

  it('stands in report data as SHA-256 and 32 zeros', async () => {
    const bytes = encodeRuntimeData(good);
    const reportData = await reportDataFor(bytes);
    assert.deepEqual(reportData.slice(0, 32), await sha256(bytes));
    assert.deepEqual(reportData.slice(32), new Uint8Array(32));
  });

  it('is refused in any other form than the canonical one', () => {
    for (const text of [
      JSON.stringify(json, null, 1),
      `${canonicalJson(json)}\n`,
      `\ufeff${canonicalJson(json)}`,
      canonicalJson(json).replace('"inference"', '"inferenc\\u0065"'),
      canonicalJson(json).replace('{', '{"cloister":1,'),
    ])
      assert.throws(() => parseRuntimeData(encodeUtf8(text)), { name: 'MalformedError' });
  });

  it('is refused as every shorter prefix', () => {
    const bytes = encodeRuntimeData(good);
    for (let length = 0; length < bytes.length; length += 7)
      assert.throws(() => parseRuntimeData(bytes.subarray(0, length)), { name: 'MalformedError' });
  });

  it('never throws anything but MalformedError for random bytes', () => {
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array(), fc.json().map(encodeUtf8)), (bytes) => {
        assert.throws(() => parseRuntimeData(bytes), { name: 'MalformedError' });
      }),
    );
  });

  it('is bounded in size and depth', () => {
    const bomb = encodeUtf8(`{"a":"${'x'.repeat(70_000)}"}`);
    assert.throws(() => parseRuntimeData(bomb), { code: 'too_large' });
    const deep = encodeUtf8(`{"a":${'['.repeat(50)}${']'.repeat(50)}}`);
    assert.throws(() => parseRuntimeData(deep), { code: 'too_deep' });
  });

  refuses('an unknown member', () => ({ admin: true }));
  refuses('another version', () => ({ cloister: 2 }));
  refuses('a service that is no name', () => ({ service: 'Records/..' }));
  refuses('no manifest', () => ({ manifests: [] }));
  refuses('manifests out of order', () => ({ manifests: ['0b'.repeat(32), '0a'.repeat(32)] }));
  refuses('a manifest twice', () => ({ manifests: ['0a'.repeat(32), '0a'.repeat(32)] }));
  refuses('upper-case hex', () => ({ manifests: ['0A'.repeat(32)] }));
  refuses('a short TLS digest', () => ({ tls: '0c' }));
  refuses('a nonce of 15 bytes', () => ({ nonce: encodeBase64url(new Uint8Array(15)) }));
  refuses('a nonce of 65 bytes', () => ({ nonce: encodeBase64url(new Uint8Array(65)) }));
  refuses('a padded nonce', () => ({ nonce: `${encodeBase64url(new Uint8Array(16))}==` }));
  refuses('base64url with bits left over', () => ({ nonce: `${'A'.repeat(21)}B` }));
  refuses('one key', () => ({ keys: [jsonKeys()[0]] }));
  refuses('three keys', () => ({ keys: [...jsonKeys(), jsonKeys()[0]] }));
  refuses('two signing keys', () => ({ keys: [jsonKeys()[0], jsonKeys()[0]] }));
  refuses('a key without use', () => {
    const { use: _, ...key } = jsonKeys()[0];
    return { keys: [key, jsonKeys()[1]] };
  });
  refuses('a private key', () => ({ keys: [{ ...jsonKeys()[0], d: 'AAAA' }, jsonKeys()[1]] }));
  refuses('another curve', () => ({ keys: [{ ...jsonKeys()[0], crv: 'P-384' }, jsonKeys()[1]] }));
  refuses('a short coordinate', () => ({ keys: [{ ...jsonKeys()[0], x: 'AAAA' }, jsonKeys()[1]] }));
  refuses('RSA of 1024 bits', () => ({ keys: [jsonKeys()[0], rsa1024 as JsonObject] }));
  refuses('RSA of 2047 bits', () => {
    const n = encodeBase64url(new Uint8Array(256).fill(0x7f));
    return { keys: [jsonKeys()[0], { ...jsonKeys()[1], n }] };
  });
  refuses('RSA with a leading zero', () => {
    const n = encodeBase64url(Uint8Array.from({ length: 257 }, (_, i) => (i === 0 ? 0 : 0xff)));
    return { keys: [jsonKeys()[0], { ...jsonKeys()[1], n }] };
  });
  refuses('exponent 3', () => ({ keys: [jsonKeys()[0], { ...jsonKeys()[1], e: 'Aw' }] }));
  refuses('an RSA key for signing', () => ({
    keys: [{ ...jsonKeys()[1], use: 'sig' }, jsonKeys()[1]],
  }));
  refuses('a model without digest', () => ({ models: [{ name: 'm', version: '1' }] }));
});
