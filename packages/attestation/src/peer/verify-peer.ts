import { decodeBase64url, encodeHex, type Bytes } from '@cloister/bytes';
import { sha256, type Jwk } from '@cloister/crypto';
import { keyOf } from '../binding/runtime-data.ts';
import { CheckList } from '../check-list.ts';
import type { EvidenceEnvelope } from '../evidence/envelope.ts';
import type { EvidencePrimitives } from '../evidence/verify-evidence.ts';
import type { IntelCollateral } from '../intel/collateral.ts';
import type { VerificationCache } from '../intel/verification-cache.ts';
import { admit } from '../manifest/admit.ts';
import type { Verification } from '../verification.ts';
import {
  checkManifest,
  checkNonce,
  checkQualifyingData,
  checkRecentHeads,
  checkReportData,
  checkRuntimeData,
  type HeadJudge,
  type AgreementTrust,
} from './check-binding.ts';
import { checkEvidence } from './check-evidence.ts';
import { checkToken, type PinnedToken } from './check-token.ts';
import { compareToken } from './compare-token.ts';
import { pinnedIssuers, type PinnedIssuer } from './pinned-issuers.ts';
import { markVerified, type PeerClaims, type VerifiedPeer } from './verified-peer.ts';

/** Whom a caller wants to talk to, and by what it judges. */
export interface PeerTrust extends AgreementTrust {
  readonly service: string;
  /** The caller's own, 16 to 64 random bytes; without it, evidence may be old. */
  readonly nonce?: Bytes | undefined;
  /** Keys of issuers, from anywhere: those count whose thumbprints the manifest lists. */
  readonly issuerKeys?: readonly Jwk[] | undefined;
  /** Whether a token must agree with the evidence; false unless told. */
  readonly requireToken?: boolean | undefined;
  /** Used where the envelope carries no endorsements. */
  readonly collateral?: IntelCollateral | undefined;
  readonly cache?: VerificationCache | undefined;
  /** With what evidence is verified: WebCrypto unless told. */
  readonly crypto?: EvidencePrimitives | undefined;
  /** Whether the heads that evidence names are recent (design 2.1, rule 8); unasked where absent. */
  readonly judgeHeads?: HeadJudge | undefined;
}

/** The checks that are always listed, reached or not. */
const CHECKS = [
  'hardware: evidence format',
  'hardware: endorsements',
  'channel: report data',
  'channel: runtime data',
  'channel: service',
  'channel: nonce',
  'code: runs by this manifest',
  'code: service named in the manifest',
  'hardware: token',
] as const;

/**
 * The heart of the trust gate: whether the evidence in an envelope shows this service of this
 * manifest, now, and which keys are inside it. Every check is listed under one of three names
 * (see `groupChecks`); a `VerifiedPeer` exists only where none failed. Runtime data count where the
 * first 32 bytes of the report data are their SHA-256 and the rest are zero (design 2.2); of a
 * confidential VM of Azure, where its vTPM's quote carries that digest.
 */
export async function verifyPeer(
  envelope: EvidenceEnvelope,
  trust: PeerTrust,
): Promise<Verification<VerifiedPeer>> {
  const { manifest, service, at } = trust;
  const list = new CheckList();
  const refuse = (): Verification<never> => {
    list.skipRest(CHECKS);
    return list.refusal();
  };
  const claims = await checkEvidence(list, envelope, {
    rules: manifest.manifest.evidence,
    at,
    collateral: trust.collateral,
    cache: trust.cache,
    crypto: trust.crypto,
  });
  if (claims === undefined) return refuse();
  if (claims.tee === 'azure-cvm') await checkQualifyingData(list, envelope.runtimeData, claims);
  else await checkReportData(list, envelope.runtimeData, claims.reportData);
  const data = checkRuntimeData(list, envelope.runtimeData, service);
  if (data === undefined) return refuse();
  await checkNonce(list, data, envelope, trust.nonce);
  const manifestId = checkManifest(list, data, trust);
  await checkRecentHeads(list, data, trust.judgeHeads);
  const appraisal = admit(manifest.manifest, service, claims);
  list.include(appraisal.checks);
  const token = await checkTokens(list, envelope, claims, trust);
  // The appraisal's own code weighs what failed; without another failure it stands.
  const before = list.checks.find(({ outcome }) => outcome === 'failed');
  if (!appraisal.ok && appraisal.checks.some(({ check }) => check === before?.check))
    return { ok: false, code: appraisal.code ?? 'refused', checks: list.checks };
  if (list.code !== undefined || manifestId === undefined) return refuse();
  return list.result(
    markVerified({
      service,
      manifestId,
      simulated: claims.simulated,
      tee: claims.tee,
      sig: keyOf(data, 'sig'),
      enc: keyOf(data, 'enc'),
      ...(data.ohttp === undefined ? {} : { ohttp: decodeBase64url(data.ohttp) }),
      ...(data.tls === undefined ? {} : { tls: data.tls }),
      models: data.models ?? [],
      evidenceDigest: encodeHex(await sha256(envelope.evidence)),
      claims,
      ...(token === undefined ? {} : { tokenClaims: token.payload }),
      verifiedAt: new Date(at.getTime()),
    }),
  );
}

/**
 * One token must satisfy every condition; the checks of the one that comes nearest are listed.
 * Without `requireToken` a token is looked at only where keys of issuers are at hand.
 */
async function checkTokens(
  list: CheckList,
  envelope: EvidenceEnvelope,
  claims: PeerClaims,
  trust: PeerTrust,
): Promise<PinnedToken | undefined> {
  const { issuerKeys = [], requireToken = false, manifest } = trust;
  const { tokens } = envelope;
  if (!requireToken && (tokens.length === 0 || issuerKeys.length === 0)) {
    list.skip('hardware: token', 'none asked for');
    return undefined;
  }
  if (!list.expect('hardware: token', tokens.length > 0, 'token_missing')) return undefined;
  const issuers = await pinnedIssuers(manifest.manifest, issuerKeys);
  const attempts = await Promise.all(
    tokens.map((token) => tryToken(token, envelope, claims, issuers, trust.at)),
  );
  const best = attempts.toSorted((a, b) => b.list.passed - a.list.passed)[0];
  const good = attempts.find((attempt) => attempt.list.code === undefined);
  list.include((good ?? best)?.list.checks ?? []);
  return good?.token;
}

async function tryToken(
  text: string,
  envelope: EvidenceEnvelope,
  claims: PeerClaims,
  issuers: readonly PinnedIssuer[],
  at: Date,
): Promise<{ readonly list: CheckList; readonly token: PinnedToken | undefined }> {
  const list = new CheckList();
  const token = await checkToken(list, text, issuers, at);
  if (token !== undefined) compareToken(list, token.claims, claims, envelope.runtimeData);
  return { list, token };
}
