import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  createSimulatedPlatform,
  createSimulatedQuote,
  encodeRuntimeData,
  parseRuntimeData,
  reportDataFor,
  type EvidenceEnvelope,
  type EvidenceSource,
  type RuntimeKey,
} from '@cloister/attestation';
import { decodeBase64url, encodeBase64url, equalBytes, type Bytes } from '@cloister/bytes';
import { merkleLeafHash, verifyMerkleInclusion } from '@cloister/crypto';
import { shareQuotes } from './share-quotes.ts';

const random = (length: number): Bytes => crypto.getRandomValues(new Uint8Array(length));
const at = new Date('2026-01-02T03:04:05Z');
const platform = await createSimulatedPlatform({ at, random });
const keys: readonly RuntimeKey[] = [
  {
    use: 'sig',
    alg: 'ES256',
    kty: 'EC',
    crv: 'P-256',
    x: encodeBase64url(random(32)),
    y: encodeBase64url(random(32)),
  },
  {
    use: 'enc',
    alg: 'RSA-OAEP-256',
    kty: 'RSA',
    n: encodeBase64url(new Uint8Array(256).fill(0x9f)),
    e: 'AQAB',
  },
];

/** A source whose first quote waits until it is let go; counts its quotes. */
function slow() {
  const open = Promise.withResolvers<void>();
  const nonces: (Bytes | undefined)[] = [];
  const source: EvidenceSource = {
    ohttpKeys: Uint8Array.of(1),
    async evidence(nonce) {
      nonces.push(nonce);
      await open.promise;
      const runtimeData = encodeRuntimeData({
        cloister: 1,
        service: 'records',
        manifests: ['ab'.repeat(32)],
        keys,
        ...(nonce === undefined ? {} : { nonce: encodeBase64url(nonce) }),
      });
      const evidence = await createSimulatedQuote(platform, {
        mrenclave: 'cd'.repeat(32),
        mrsigner: 'ef'.repeat(32),
        isvProdId: 101,
        isvSvn: 1,
        reportData: await reportDataFor(runtimeData),
      });
      return { format: 'simulated-sgx-quote', evidence, runtimeData, tokens: [] };
    },
  };
  return { source, nonces, open: open.resolve };
}

/** Whether evidence answers a nonce, as `verifyPeer` judges it. */
async function answers({ runtimeData, noncePath }: EvidenceEnvelope, nonce: Bytes) {
  const root = decodeBase64url(parseRuntimeData(runtimeData).nonce ?? '');
  if (noncePath === undefined) return equalBytes(root, nonce);
  const { index, size, path } = noncePath;
  const leafHash = await merkleLeafHash(nonce);
  return verifyMerkleInclusion({ leafHash, index, size, proof: path, root });
}

describe('shareQuotes', () => {
  it('makes one quote for all who ask while another one is made, and each finds its nonce', async () => {
    const { source, nonces, open } = slow();
    const shared = shareQuotes(source);
    const own = Array.from({ length: 8 }, (_, i) => random(16 + i));
    const asked = own.map((nonce) => shared.evidence(nonce));
    open();
    const given = await Promise.all(asked);
    assert.equal(nonces.length, 2);
    assert.deepEqual(nonces[0], own[0], 'the first one was alone');
    assert.equal(given[0]?.noncePath, undefined);
    for (const [i, envelope] of given.entries()) {
      assert.ok(await answers(envelope, own[i] ?? random(1)), `${i}`);
      const other = own[(i + 1) % own.length] ?? random(1);
      assert.equal(await answers(envelope, other), false, 'and no other nonce');
    }
    assert.equal(new Set(given.map(({ evidence }) => encodeBase64url(evidence))).size, 2);
  });

  it('gives evidence over the nonce itself, one after the other, where nobody else asks', async () => {
    const { source, nonces, open } = slow();
    open();
    const shared = shareQuotes(source);
    for (const nonce of [random(16), random(64)]) {
      const envelope = await shared.evidence(nonce);
      assert.equal(envelope.noncePath, undefined);
      assert.deepEqual(nonces.at(-1), nonce);
    }
    assert.equal((await shared.evidence()).noncePath, undefined);
    assert.equal(nonces.at(-1), undefined);
    assert.deepEqual(shared.ohttpKeys, Uint8Array.of(1));
  });

  it('serves at most 1024 with a quote', async () => {
    const { source, nonces, open } = slow();
    const shared = shareQuotes(source);
    const asked = Array.from({ length: 1 + 1024 + 3 }, () => shared.evidence(random(32)));
    open();
    const given = await Promise.all(asked);
    assert.deepEqual(
      [given[1], given.at(-1)].map((envelope) => envelope?.noncePath?.size),
      [1024, 3],
    );
    assert.equal(nonces.length, 3);
  });

  it('tells all who shared it that a quote failed, and makes the next one', async () => {
    let fails = true;
    const { source, open } = slow();
    open();
    const shared = shareQuotes({
      evidence: (nonce) =>
        fails ? Promise.reject(new RangeError('no quote')) : source.evidence(nonce),
    });
    const asked = [random(16), random(16), random(16)].map((nonce) => shared.evidence(nonce));
    for (const one of asked) await assert.rejects(one, RangeError);
    fails = false;
    const nonce = random(16);
    assert.ok(await answers(await shared.evidence(nonce), nonce));
  });
});
