import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { encodeEnvelope, isVerified, type EvidenceEnvelope } from '@cloister/attestation';
import { decodeBase64url, encodeBase64url, type Bytes, type JsonObject } from '@cloister/bytes';
import {
  AT,
  createScene,
  makeEnvelope,
  makeP256,
  NONCE,
  publicJwk,
  type Changes,
  type Scene,
} from '../../attestation/src/peer/scene.test.ts';
import { UNREACHABLE_CODES, verifyService } from './verify-service.ts';

let scene: Scene;
before(async () => {
  scene = await createScene();
});

/** Report, its signature, attestation key, QE report and its signature (spec/evidence.md 1.3). */
const SIGNED_LENGTH = 1012;

/** What the world answers: each entry by its URL; a thrown error is a network that is down. */
interface World {
  readonly evidence?: () => Promise<Response>;
  readonly certs?: () => Promise<Response>;
}

const json = (value: unknown, status = 200): Promise<Response> =>
  Promise.resolve(Response.json(value, { status }));
const down = (): Promise<Response> => Promise.reject(new TypeError('network down'));
const shown = async (changes: Changes = {}): Promise<Response> =>
  json(encodeEnvelope(await makeEnvelope(scene, changes)));

async function verify(world: World = {}, options: { requireToken?: boolean; token?: false } = {}) {
  const asked: { url: string; body: string }[] = [];
  let seen: EvidenceEnvelope | undefined;
  const result = await verifyService({
    baseUrl: 'https://records.example/',
    service: 'records',
    manifest: scene.manifest,
    ...(options.token === false ? {} : { attestationUrl: 'https://attest.example' }),
    ...(options.requireToken === undefined ? {} : { requireToken: options.requireToken }),
    transport: async (request) => {
      asked.push({ url: request.url, body: await request.text() });
      if (request.url === 'https://records.example/attestation/evidence')
        return (world.evidence ?? shown)();
      if (request.url === 'https://attest.example/certs')
        return (world.certs ?? (() => json({ keys: [scene.issuerJwk] })))();
      return assert.fail(`nobody should ask ${request.url}`);
    },
    now: () => AT,
    random: (length): Bytes => {
      assert.equal(length, NONCE.length);
      return NONCE;
    },
    onEvidence: (envelope) => {
      seen = envelope;
    },
  });
  return { result, asked, seen };
}

describe('verifyService', () => {
  it('asks with its own nonce, and gives a peer that the channel takes', async () => {
    const { result, asked, seen } = await verify();
    assert.ok(result.ok, result.ok ? '' : result.code);
    assert.ok(isVerified(result.claims));
    const body = JSON.parse(asked[0]?.body ?? '') as { nonce: string };
    assert.deepEqual(decodeBase64url(body.nonce), NONCE);
    assert.equal(seen?.format, 'simulated-sgx-quote');
    assert.equal(result.claims.tokenClaims?.['iss'], 'https://attest.example');
    const names = result.checks.map(({ check }) => check);
    assert.equal(new Set(names).size, names.length, 'no check stands twice');
  });

  it('refuses evidence that answers an older nonce', async () => {
    const nonce = encodeBase64url(new Uint8Array(32));
    const { result } = await verify({ evidence: () => shown({ runtime: { nonce } }) });
    assert.ok(!result.ok);
    assert.equal(result.code, 'nonce_mismatch');
  });

  it('refuses other code than the agreed one, and lists all the rest as checked', async () => {
    const { result } = await verify({
      evidence: () => shown({ facts: { mrenclave: 'ff'.repeat(32) } }),
    });
    assert.ok(!result.ok);
    assert.equal(result.code, 'measurement_not_agreed');
    const failed = result.checks.filter(({ outcome }) => outcome === 'failed');
    assert.deepEqual(
      failed.map(({ check }) => check),
      ['code: MRENCLAVE'],
    );
  });

  it('wants a token wherever an attestation service is given', async () => {
    const envelope = { ...(await makeEnvelope(scene)), tokens: [] };
    const evidence = () => json(encodeEnvelope(envelope));
    const { result } = await verify({ evidence });
    assert.ok(!result.ok);
    assert.equal(result.code, 'token_missing');
    assert.ok((await verify({ evidence }, { requireToken: false })).result.ok);
    assert.ok((await verify({ evidence }, { token: false })).result.ok);
  });

  it('keeps only keys that the manifest pins, wherever they came from', async () => {
    const other = await publicJwk(await makeP256(), { kid: 'k1' });
    const { result } = await verify({ certs: () => json({ keys: [other] }) });
    assert.ok(!result.ok);
    assert.equal(result.code, 'issuer_keys_not_pinned');
    const both = await verify({ certs: () => json({ keys: [other, scene.issuerJwk] }) });
    assert.ok(both.result.ok);
  });

  it('says that it could not ask, and not that the service is bad', async () => {
    const cases: [World, string][] = [
      [{ evidence: down }, 'evidence_unavailable'],
      [{ evidence: () => json({}, 503) }, 'evidence_unavailable'],
      [{ certs: down }, 'issuer_keys_unavailable'],
      [{ certs: () => json({ error: {} }, 500) }, 'issuer_keys_unavailable'],
    ];
    for (const [world, code] of cases) {
      const { result } = await verify(world);
      assert.ok(!result.ok);
      assert.equal(result.code, code);
      assert.ok(UNREACHABLE_CODES.includes(code));
    }
    const certsDown = await verify({ certs: down }, { requireToken: false });
    assert.ok(certsDown.result.ok);
  });

  it('never asks for keys where a token is required but nobody said of whom', async () => {
    const { result } = await verify({}, { token: false, requireToken: true });
    assert.ok(!result.ok);
    assert.equal(result.code, 'issuer_keys_unavailable');
  });

  it('refuses answers that are no evidence', async () => {
    const good = encodeEnvelope(await makeEnvelope(scene));
    const answers: (() => Promise<Response>)[] = [
      () => Promise.resolve(new Response('not JSON')),
      () => Promise.resolve(new Response(Uint8Array.of(0xff, 0xfe))),
      () => json([]),
      () => json({ ...good, extra: 1 }),
      () => json({ ...good, evidence: 7 }),
      () => json({ ...good, format: 'trust-me' }),
      () => Promise.resolve(new Response(`{"format":"sgx-quote","format":"sgx-quote"}`)),
    ];
    for (const evidence of answers) {
      const { result, seen } = await verify({ evidence });
      assert.ok(!result.ok);
      assert.equal(result.code, 'evidence_malformed');
      assert.equal(seen, undefined);
    }
  });

  it('stops reading an answer that does not end', async () => {
    const { result } = await verify({
      evidence: () => Promise.resolve(new Response(new Uint8Array((2 << 20) + 1))),
    });
    assert.ok(!result.ok);
    assert.equal(result.code, 'evidence_unavailable');
  });

  it('refuses a flipped bit anywhere in what signatures of the quote cover', async () => {
    const envelope = await makeEnvelope(scene);
    for (let at = 0; at < SIGNED_LENGTH; at += 23) {
      const evidence = Uint8Array.from(envelope.evidence);
      evidence[at] = (evidence[at] ?? 0) ^ 1;
      const tampered: JsonObject = encodeEnvelope({ ...envelope, evidence });
      const { result } = await verify({ evidence: () => json(tampered) });
      assert.ok(!result.ok, `bit ${at * 8}`);
    }
  });
});
