import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import {
  canonicalJson,
  decodeUtf8,
  encodeBase64url,
  encodeHex,
  encodeUtf8,
  parseJsonObject,
  type Bytes,
  type JsonObject,
} from '@cloister/bytes';
import { jwkThumbprint, type Jwk } from '@cloister/crypto';
import type { RuntimeData } from '../binding/runtime-data.ts';
import { reportDataFor } from '../binding/runtime-data.ts';
import { encodeIntelEndorsements, type EvidenceEnvelope } from '../evidence/envelope.ts';
import { manifestId } from '../manifest/manifest.ts';
import { parseManifest } from '../manifest/parse-manifest.ts';
import { signManifest } from '../manifest/sign-manifest.ts';
import { keysOf, verifyManifest } from '../manifest/verify-manifest.ts';
import type { TrustedManifest } from '../manifest/trusted-manifest.ts';
import { createSimulatedPlatform } from '../simulated/create-platform.ts';
import { createSimulatedQuote } from '../simulated/create-quote.ts';
import type { ReportFacts } from '../simulated/enclave-report.ts';
import { platformRootDigest, type SimulatedPlatform } from '../simulated/simulated-platform.ts';
import { signToken } from '../token/sign-token.ts';
import type { Verification } from '../verification.ts';
import type { VerifiedPeer } from './verified-peer.ts';
import { verifyPeer, type PeerTrust } from './verify-peer.ts';

/** When all of it happens. */
export const AT = new Date('2026-11-24T12:00:00Z');
export const ISSUER = 'https://attest.example';
export const MRENCLAVE = 'a1'.repeat(32);
export const MRSIGNER = 'b2'.repeat(32);
export const NONCE: Bytes = new Uint8Array(32).fill(7);

export const random = (length: number): Bytes => crypto.getRandomValues(new Uint8Array(length));

export type Parties = Readonly<Record<'hospital' | 'platform' | 'diagnostics', CryptoKeyPair>>;

/** Three parties, an issuer, a simulated platform, and the keys of one service. */
export interface Scene {
  readonly platform: SimulatedPlatform;
  readonly manifest: TrustedManifest;
  readonly parties: Parties;
  readonly issuerKeys: CryptoKeyPair;
  readonly issuerJwk: Jwk;
  readonly sig: Jwk;
  readonly enc: Jwk;
}

export async function publicJwk(keys: CryptoKeyPair, rest: object = {}): Promise<Jwk> {
  const {
    kty = '',
    crv = '',
    x = '',
    y = '',
    n = '',
    e = '',
  } = await crypto.subtle.exportKey('jwk', keys.publicKey);
  const members = kty === 'RSA' ? { kty, n, e } : { kty, crv, x, y };
  return { ...members, ...rest };
}

export function makeP256(): Promise<CryptoKeyPair> {
  return crypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, true, [
    'sign',
    'verify',
  ]);
}

export function makeRsa(modulusLength = 2048): Promise<CryptoKeyPair> {
  const algorithm = {
    name: 'RSA-OAEP',
    modulusLength,
    publicExponent: Uint8Array.of(1, 0, 1),
    hash: 'SHA-256',
  };
  return crypto.subtle.generateKey(algorithm, true, ['encrypt', 'decrypt']);
}

/** The manifest of a scene as JSON: tests change it before it is parsed. */
export async function draftManifest(scene: Omit<Scene, 'manifest'>): Promise<JsonObject> {
  const parties: JsonObject = {};
  for (const [name, keys] of Object.entries(scene.parties))
    parties[name] = { keys: [await publicJwk(keys)] };
  const identity = {
    anyOf: [
      {
        tee: 'sgx',
        mrenclave: [MRENCLAVE],
        mrsigner: [MRSIGNER],
        isvProdId: 101,
        minIsvSvn: 3,
        tcb: ['UpToDate'],
      },
    ],
  };
  return {
    apiVersion: 'cloister.dev/v1',
    deployment: 'lamna',
    profile: 'dev',
    serial: 1,
    lease: 900,
    parties,
    quorum: { update: { of: Object.keys(scene.parties), min: 2 } },
    evidence: {
      roots: { simulated: [await platformRootDigest(scene.platform)] },
      minTcbEvaluationDataNumber: 17,
      platforms: 'any',
    },
    issuers: [{ iss: ISSUER, keys: [await jwkThumbprint(scene.issuerJwk)], tee: ['simulated'] }],
    services: { records: { identity } },
  };
}

/** A manifest signed by all parties of a scene, and verified. */
export async function trust(
  scene: Pick<Scene, 'parties'>,
  draft: JsonObject,
): Promise<TrustedManifest> {
  const manifest = parseManifest(JSON.stringify(draft));
  const id = await manifestId(manifest);
  const signatures: Record<string, string> = {};
  for (const [party, keys] of Object.entries(scene.parties))
    signatures[party] = await signManifest(id, party, keys.privateKey);
  const result = await verifyManifest(manifest, signatures, { pinned: keysOf(manifest) });
  assert.ok(result.ok, result.ok ? '' : result.code);
  return result.claims;
}

export async function createScene(): Promise<Scene> {
  const platform = await createSimulatedPlatform({ at: AT, random });
  const [hospital, vendor, diagnostics, issuerKeys, sig, enc] = await Promise.all([
    makeP256(),
    makeP256(),
    makeP256(),
    makeP256(),
    makeP256(),
    makeRsa(),
  ]);
  const scene = {
    platform,
    parties: { hospital, platform: vendor, diagnostics },
    issuerKeys,
    issuerJwk: await publicJwk(issuerKeys, { kid: 'k1' }),
    sig: await publicJwk(sig),
    enc: await publicJwk(enc),
  };
  return { ...scene, manifest: await trust(scene, await draftManifest(scene)) };
}

/** What a test changes of the evidence that would be good; everything else stays. */
export interface Changes {
  readonly facts?: Partial<ReportFacts>;
  readonly runtime?: Partial<RuntimeData> & JsonObject;
  /** Replaces runtime data in the envelope after the quote was made. */
  readonly shownRuntime?: (bytes: Bytes) => Bytes;
  readonly token?: (payload: JsonObject) => JsonObject;
  readonly platform?: SimulatedPlatform;
  readonly manifests?: readonly string[];
}

export async function makeEnvelope(
  scene: Scene,
  changes: Changes = {},
): Promise<EvidenceEnvelope & { readonly tokens: readonly [string] }> {
  const { platform = scene.platform } = changes;
  const data = {
    cloister: 1,
    service: 'records',
    manifests: [...(changes.manifests ?? [scene.manifest.id])],
    keys: [
      { use: 'sig', ...scene.sig },
      { use: 'enc', ...scene.enc },
    ],
    ohttp: encodeBase64url(Uint8Array.of(1, 2, 3)),
    nonce: encodeBase64url(NONCE),
    ...changes.runtime,
  };
  const runtimeData = encodeUtf8(canonicalJson(JSON.parse(JSON.stringify(data))));
  const reportData = changes.facts?.reportData ?? (await reportDataFor(runtimeData));
  const facts = {
    mrenclave: MRENCLAVE,
    mrsigner: MRSIGNER,
    isvProdId: 101,
    isvSvn: 3,
    ...changes.facts,
    reportData,
  };
  const shown = changes.shownRuntime?.(runtimeData) ?? runtimeData;
  return {
    format: 'simulated-sgx-quote',
    evidence: await createSimulatedQuote(platform, facts),
    runtimeData: shown,
    endorsements: encodeIntelEndorsements(platform.collateral),
    tokens: [await makeToken(scene, tokenPayload(facts, shown), changes.token)],
  };
}

/** What an attestation service writes about this evidence. */
export function tokenPayload(facts: ReportFacts, runtimeData: Bytes): JsonObject {
  const iat = AT.getTime() / 1000;
  let runtime: JsonObject = {};
  try {
    runtime = parseJsonObject(decodeUtf8(runtimeData));
  } catch {
    // Some tests show bytes that are no JSON: the token then has an empty object.
  }
  return {
    iss: ISSUER,
    iat,
    nbf: iat,
    exp: iat + 28_800,
    'x-ms-attestation-type': 'simulated',
    'x-ms-policy-hash': 'p'.repeat(43),
    'x-ms-runtime': runtime,
    'x-ms-sgx-is-debuggable': facts.debug ?? false,
    'x-ms-sgx-mrenclave': facts.mrenclave,
    'x-ms-sgx-mrsigner': facts.mrsigner,
    'x-ms-sgx-product-id': facts.isvProdId,
    'x-ms-sgx-svn': facts.isvSvn,
    'x-ms-sgx-report-data': encodeHex(facts.reportData),
    'x-ms-ver': '1.0',
  };
}

export function without(payload: JsonObject, name: string): JsonObject {
  return Object.fromEntries(Object.entries(payload).filter(([one]) => one !== name));
}

export function makeToken(
  scene: Scene,
  payload: JsonObject,
  change: (payload: JsonObject) => JsonObject = (same) => same,
): Promise<string> {
  return signToken({
    payload: change(payload),
    key: scene.issuerKeys.privateKey,
    kid: 'k1',
    jku: `${ISSUER}/certs`,
    alg: 'ES256',
  });
}

/** Verifies an envelope as a careful caller does: nonce, token, pinned keys. */
export function verifyInScene(
  { manifest, issuerJwk }: Scene,
  envelope: EvidenceEnvelope,
  changes: Partial<PeerTrust> = {},
): Promise<Verification<VerifiedPeer>> {
  return verifyPeer(envelope, {
    manifest,
    service: 'records',
    nonce: NONCE,
    at: AT,
    issuerKeys: [issuerJwk],
    requireToken: true,
    ...changes,
  });
}

/** Asserts that only this check failed, with this code, and that nothing came of it. */
export function assertOnlyFailed(result: Verification<unknown>, check: string, code: string): void {
  const failed = result.checks.filter(({ outcome }) => outcome === 'failed');
  assert.deepEqual(
    failed.map((one) => [one.check, one.code]),
    [[check, code]],
  );
  assert.ok(!result.ok);
  assert.equal(result.code, code);
  assert.ok(!('claims' in result));
}

/** A scene, and what tests of `verifyPeer` do in it. */
export interface Stage {
  readonly scene: Scene;
  /** The envelope that would be good, but for these changes. */
  readonly change: (changes?: Changes) => ReturnType<typeof makeEnvelope>;
  readonly verify: (
    envelope: EvidenceEnvelope,
    changes?: Partial<PeerTrust>,
  ) => Promise<Verification<VerifiedPeer>>;
  /** Asserts that of all checks only this one failed. */
  readonly assertOnly: (
    envelope: EvidenceEnvelope,
    check: string,
    code: string,
    changes?: Partial<PeerTrust>,
  ) => Promise<void>;
  /** A trusted manifest like the scene's, with other members. */
  readonly manifestWith: (members: JsonObject) => Promise<TrustedManifest>;
}

export async function createStage(): Promise<Stage> {
  const scene = await createScene();
  const verify: Stage['verify'] = (envelope, changes) => verifyInScene(scene, envelope, changes);
  return {
    scene,
    verify,
    change: (changes) => makeEnvelope(scene, changes),
    async assertOnly(envelope, check, code, changes) {
      assertOnlyFailed(await verify(envelope, changes), check, code);
    },
    async manifestWith(members) {
      return trust(scene, { ...(await draftManifest(scene)), ...members });
    },
  };
}

describe('the scene of these tests', () => {
  let scene: Scene;
  before(async () => {
    scene = await createScene();
  });

  it('is one in which nothing is wrong', async () => {
    const result = await verifyInScene(scene, await makeEnvelope(scene));
    assert.deepEqual(
      result.checks.filter(({ outcome }) => outcome === 'failed'),
      [],
    );
    assert.ok(result.ok);
  });
});
