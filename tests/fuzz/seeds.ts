import { globSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import {
  createSimulatedPlatform,
  createSimulatedQuote,
  encodeBundle,
  encodeEnvelope,
  encodeIntelEndorsements,
  encodeRuntimeData,
  intelEntry,
  platformRootDigest,
  reportDataFor,
  signToken,
  type SimulatedPlatform,
} from '@cloister/attestation';
import { encodeUtf8, sliceJsonMember, type Bytes, type JsonObject } from '@cloister/bytes';
import { parseCertificate, parseCertificateChain, type Jwk } from '@cloister/crypto';
import { pemChain } from '../../packages/attestation/src/simulated/simulated-platform.ts';
import { shared, sharedMissing } from '../shared.ts';

const VECTORS = shared('vectors');
const PCK = '1.2.840.113741.1.13.1';

/** Files of the vectors that match, at most so many, spread over the list; none where they are absent. */
export function vectorFiles(pattern: string, most = 24, largest = 65_536): Uint8Array[] {
  if (sharedMissing !== false) return [];
  const files = globSync(pattern, { cwd: VECTORS })
    .toSorted()
    .map((file) => join(VECTORS, file))
    .filter((file) => statSync(file).isFile() && statSync(file).size <= largest);
  const step = Math.max(1, Math.ceil(files.length / most));
  return files.filter((_, i) => i % step === 0).map((file) => readFileSync(file));
}

/** Hex texts under members of this name, anywhere in a JSON file of the vectors. */
export function hexInVectors(file: string, member: string): Uint8Array[] {
  if (sharedMissing !== false) return [];
  return hexMembers(JSON.parse(readFileSync(join(VECTORS, file), 'utf8')), member);
}

function hexMembers(value: unknown, name: string): Uint8Array[] {
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, inner]) =>
    key === name && typeof inner === 'string' && /^([0-9a-f]{2})+$/i.test(inner)
      ? [Buffer.from(inner, 'hex')]
      : hexMembers(inner, name),
  );
}

/** Evidence of our own making, whatever else is absent. */
export interface OwnEvidence {
  readonly platform: SimulatedPlatform;
  readonly issuer: { readonly iss: string; readonly keys: readonly Jwk[] };
  readonly at: Date;
  readonly quote: Bytes;
  readonly runtimeData: Bytes;
  readonly envelope: Bytes;
  readonly token: string;
  readonly manifestFile: Bytes;
  readonly bundle: Bytes;
  readonly tcbInfo: Bytes;
  readonly qeIdentity: Bytes;
  readonly pckExtension: Bytes;
  readonly pckChain: Bytes;
}

let made: Promise<OwnEvidence> | undefined;

/** Makes an envelope and all that is in it, once. */
export function ownEvidence(): Promise<OwnEvidence> {
  made ??= makeOwn();
  return made;
}

async function makeOwn(): Promise<OwnEvidence> {
  const at = new Date('2026-03-01T12:00:00Z');
  const platform = await createSimulatedPlatform({ at, random });
  const { collateral, certificates } = platform;
  const [sig, enc] = await Promise.all([makeKeys(P256, ['sign']), makeKeys(RSA, ['decrypt'])]);
  const sigJwk = await publicJwk(sig);
  const runtimeData = encodeRuntimeData({
    cloister: 1,
    service: 'records',
    manifests: ['ab'.repeat(32)],
    keys: [
      { ...sigJwk, use: 'sig' },
      { ...(await publicJwk(enc)), use: 'enc' },
    ],
    nonce: 'A'.repeat(22),
  });
  const reportData = await reportDataFor(runtimeData);
  const code = { mrenclave: '11'.repeat(32), mrsigner: '22'.repeat(32), isvProdId: 1, isvSvn: 1 };
  const quote = await createSimulatedQuote(platform, { ...code, reportData });
  const issuer = { iss: 'https://attest.example', keys: [{ ...sigJwk, kid: 'k1' }] };
  const token = await signToken({
    payload: tokenPayload(issuer.iss, at),
    key: sig.privateKey,
    kid: 'k1',
    jku: `${issuer.iss}/certs`,
    alg: 'ES256',
  });
  const envelope = encodeEnvelope({
    format: 'simulated-sgx-quote',
    evidence: quote,
    runtimeData,
    endorsements: encodeIntelEndorsements(collateral),
    tokens: [token],
  });
  const pck = parseCertificate(certificates.pck);
  const { pck: leaf, platformCa, root } = certificates;
  const manifest = draftManifest(sigJwk, await platformRootDigest(platform), code);
  return {
    platform,
    issuer,
    at,
    quote,
    runtimeData,
    envelope: encodeUtf8(JSON.stringify(envelope)),
    token,
    manifestFile: encodeUtf8(JSON.stringify({ manifest, signatures: { hospital: 'a.b.c' } })),
    bundle: encodeUtf8(encodeBundle([intelEntry(collateral)])),
    tcbInfo: encodeUtf8(sliceJsonMember(collateral.tcbInfo, 'tcbInfo')),
    qeIdentity: encodeUtf8(sliceJsonMember(collateral.qeIdentity, 'enclaveIdentity')),
    pckExtension: new Uint8Array(pck.extensions.get(PCK)?.value ?? []),
    pckChain: encodeUtf8(pemChain(leaf, platformCa, root)),
  };
}

const P256 = { name: 'ECDSA', namedCurve: 'P-256' };
const RSA = {
  name: 'RSA-OAEP',
  modulusLength: 2048,
  publicExponent: Uint8Array.of(1, 0, 1),
  hash: 'SHA-256',
};

function random(length: number): Bytes {
  return crypto.getRandomValues(new Uint8Array(length));
}

async function makeKeys(
  algorithm: EcKeyGenParams | RsaHashedKeyGenParams,
  usages: readonly KeyUsage[],
): Promise<CryptoKeyPair> {
  const pair = await crypto.subtle.generateKey(algorithm, true, usages);
  if (!('privateKey' in pair)) throw new RangeError('no pair of keys');
  return pair;
}

async function publicJwk({ publicKey }: CryptoKeyPair): Promise<Jwk> {
  const { kty = '', crv, x, y, n, e } = await crypto.subtle.exportKey('jwk', publicKey);
  if (crv !== undefined && x !== undefined && y !== undefined) return { kty, crv, x, y };
  return { kty, n: n ?? '', e: e ?? '' };
}

function tokenPayload(iss: string, at: Date): JsonObject {
  const iat = at.getTime() / 1000;
  return {
    iss,
    iat,
    nbf: iat,
    exp: iat + 28_800,
    'x-ms-attestation-type': 'simulated',
    'x-ms-policy-hash': 'p'.repeat(43),
    'x-ms-runtime': { keys: [] },
    'x-ms-ver': '1.0',
  };
}

function draftManifest(key: Jwk, rootDigest: string, code: JsonObject): JsonObject {
  const { mrenclave = '', mrsigner = '', isvProdId = 1 } = code;
  const identity = { tee: 'sgx', mrenclave: [mrenclave], mrsigner: [mrsigner], isvProdId };
  return {
    apiVersion: 'cloister.dev/v1',
    deployment: 'lamna',
    profile: 'dev',
    serial: 1,
    lease: 900,
    parties: { hospital: { keys: [{ ...key }] } },
    quorum: { update: { of: ['hospital'], min: 1 } },
    evidence: {
      roots: { simulated: [rootDigest] },
      minTcbEvaluationDataNumber: 17,
      platforms: 'any',
    },
    issuers: [{ iss: 'https://attest.example', keys: ['A'.repeat(43)], tee: ['simulated'] }],
    services: {
      records: { identity: { anyOf: [{ ...identity, minIsvSvn: 1, tcb: ['UpToDate'] }] } },
    },
  };
}

/** Values of signed envelopes in the vectors: `{"<member>":{…},"signature":…}`. */
export function signedMembers(pattern: string, member: string): Uint8Array[] {
  return vectorFiles(pattern).map((file) =>
    encodeUtf8(sliceJsonMember(Buffer.from(file).toString(), member)),
  );
}

/** SGX extensions of the PCK certificates in genuine quotes. */
export function genuinePckExtensions(): Uint8Array[] {
  return vectorFiles('{sgx,tdx}/quotes/*.bin', 8).flatMap((quote) => {
    const text = Buffer.from(quote).toString('latin1');
    const start = text.indexOf('-----BEGIN');
    const end = '-----END CERTIFICATE-----';
    if (start < 0) return [];
    const pem = text.slice(start, text.lastIndexOf(end) + end.length);
    return parseCertificateChain(pem).flatMap(({ extensions }) => extensions.get(PCK)?.value ?? []);
  });
}
