import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import type { JsonObject } from '@cloister/bytes';
import { signJws, type Jwk } from '@cloister/crypto';
import { parseReceipt, verifyReceipt, type ExpectedReceipt } from './receipt.ts';

const P256 = { name: 'ECDSA', namedCurve: 'P-256' } as const;
const AT = new Date('2026-11-24T12:00:00Z');
const CLAIMS = {
  model: 'cxr-pneumonia-cam',
  modelDigest: 'aa'.repeat(32),
  inputDigest: 'bb'.repeat(32),
  outputDigest: 'cc'.repeat(32),
  requestId: 'r-1',
  manifest: 'dd'.repeat(32),
  evidenceDigest: 'ee'.repeat(32),
  simulated: true,
  iat: AT.getTime() / 1000,
};

let keys: CryptoKeyPair;
let sig: Jwk;
before(async () => {
  keys = await crypto.subtle.generateKey(P256, true, ['sign', 'verify']);
  sig = await publicJwk(keys);
});

async function publicJwk(pair: CryptoKeyPair): Promise<Jwk> {
  const {
    kty = '',
    crv = '',
    x = '',
    y = '',
  } = await crypto.subtle.exportKey('jwk', pair.publicKey);
  return { kty, crv, x, y };
}

const sign = (claims: JsonObject, header: JsonObject = { typ: 'cloister-receipt+jwt' }) =>
  signJws({ alg: 'ES256', key: keys.privateKey, header, payload: JSON.stringify(claims) });

function expected(changes: Partial<ExpectedReceipt> = {}): ExpectedReceipt {
  const { iat: _, ...facts } = CLAIMS;
  return { ...facts, sig, at: AT, ...changes };
}

describe('verifyReceipt', () => {
  it('accepts the receipt of exactly this exchange', async () => {
    const result = await verifyReceipt(await sign(CLAIMS), expected());
    assert.ok(result.ok);
    assert.deepEqual(result.claims, CLAIMS);
    assert.ok(result.checks.every(({ outcome }) => outcome === 'passed'));
  });

  const wrong: readonly (readonly [keyof typeof CLAIMS, string | boolean | number, string])[] = [
    ['model', 'another-model', 'receipt_model'],
    ['modelDigest', '11'.repeat(32), 'receipt_model_digest'],
    ['inputDigest', '11'.repeat(32), 'receipt_input_digest'],
    ['outputDigest', '11'.repeat(32), 'receipt_output_digest'],
    ['requestId', 'r-2', 'receipt_request'],
    ['manifest', '11'.repeat(32), 'receipt_manifest'],
    ['evidenceDigest', '11'.repeat(32), 'receipt_evidence'],
    ['simulated', false, 'receipt_simulated'],
    ['iat', CLAIMS.iat - 301, 'receipt_time'],
  ];
  for (const [member, value, code] of wrong) {
    it(`refuses another ${member}, and says that only this is wrong`, async () => {
      const result = await verifyReceipt(await sign({ ...CLAIMS, [member]: value }), expected());
      assert.ok(!result.ok);
      assert.equal(result.code, code);
      assert.equal(result.checks.filter(({ outcome }) => outcome === 'failed').length, 1);
    });
  }

  it('refuses a signature by another key, and a purpose of another kind', async () => {
    const other = await publicJwk(await crypto.subtle.generateKey(P256, true, ['sign', 'verify']));
    const receipt = await sign(CLAIMS);
    const byOther = await verifyReceipt(receipt, expected({ sig: other }));
    assert.ok(!byOther.ok);
    assert.equal(byOther.code, 'receipt_signature');
    for (const header of [{ typ: 'JWT' }, {}]) {
      const result = await verifyReceipt(await sign(CLAIMS, header), expected());
      assert.ok(!result.ok);
      assert.equal(result.code, 'receipt_signature');
    }
  });

  it('refuses every changed character of the signature and of the claims', async () => {
    const receipt = await sign(CLAIMS);
    for (let at = 0; at < receipt.length; at += 13) {
      const changed = receipt[at] === 'A' ? 'B' : 'A';
      const tampered = `${receipt.slice(0, at)}${changed}${receipt.slice(at + 1)}`;
      assert.ok(!(await verifyReceipt(tampered, expected())).ok, `character ${at}`);
    }
  });

  it('refuses what is no receipt, whatever it is', async () => {
    const { model: _, ...incomplete } = CLAIMS;
    const texts = [
      '',
      'a.b',
      'a.b.c',
      '..',
      await sign(incomplete),
      await sign({ ...CLAIMS, iat: 'x' }),
    ];
    for (const text of texts) {
      const result = await verifyReceipt(text, expected());
      assert.ok(!result.ok);
      assert.equal(result.code, 'receipt_malformed');
    }
  });

  it('skips, and says so, the evidence that it was not told', async () => {
    const { evidenceDigest: _, ...rest } = expected();
    const result = await verifyReceipt(await sign(CLAIMS), rest);
    assert.ok(result.ok);
    assert.equal(result.checks.find(({ check }) => check === 'evidence')?.outcome, 'skipped');
  });
});

describe('parseReceipt', () => {
  it('reads without a key, for display', async () => {
    assert.deepEqual(parseReceipt(await sign(CLAIMS)), CLAIMS);
  });
});
