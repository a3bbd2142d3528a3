import { encodeBase64url, encodeUtf8, MalformedError, type Bytes } from '@cloister/bytes';
import {
  parseEnvelope,
  pinnedIssuers,
  verifyPeer,
  type Check,
  type EvidenceEnvelope,
  type EvidencePrimitives,
  type HeadJudge,
  type ManifestBridge,
  type TrustedManifest,
  type Verification,
  type VerifiedPeer,
} from '@cloister/attestation';
import type { Fetch } from '@cloister/channel';
import type { Jwk } from '@cloister/crypto';
import { createAttestationClient } from './attestation-client.ts';
import { ClientError } from './client-error.ts';
import { exchange, expectStatus, jsonOf } from './exchange.ts';

/** Whom to verify, by what, and with which means. */
export interface VerifyServiceOptions {
  /** Where the service answers; an address only, it decides nothing. */
  readonly baseUrl: string;
  /** Which service of the manifest it must be. */
  readonly service: string;
  readonly manifest: TrustedManifest;
  /** The manifest before, while who runs by it is bridged. */
  readonly bridge?: ManifestBridge | undefined;
  /** Where the attestation service answers: its published keys and its collateral. */
  readonly attestationUrl?: string;
  readonly transport: Fetch;
  readonly now: () => Date;
  readonly random: (length: number) => Bytes;
  /** Whether a token must be there and agree; true wherever `attestationUrl` is given. */
  readonly requireToken?: boolean;
  /** With what evidence is verified: WebCrypto unless told; in Node, `NODE_EVIDENCE_CRYPTO` is faster. */
  readonly crypto?: EvidencePrimitives;
  /** Whether the heads that the evidence names are recent; unasked where absent. */
  readonly judgeHeads?: HeadJudge | undefined;
  /** Sees the raw evidence before it is judged: to show or to keep it. */
  readonly onEvidence?: (envelope: EvidenceEnvelope) => void;
}

/** Codes by which `verifyService` says that it could not ask; they say nothing about trust. */
export const UNREACHABLE_CODES: readonly string[] = [
  'evidence_unavailable',
  'issuer_keys_unavailable',
];

const NONCE_LENGTH = 32;
const EVIDENCE_LIMIT = 2 << 20;

/**
 * The trust gate: asks a service for fresh evidence with a nonce of the caller's own, and has it
 * verified by this library and by the token of a pinned issuer (design 2.1, rule 5). Only what
 * this returns opens a channel. All that fails is listed; nothing but cancellation throws.
 */
export async function verifyService(
  options: VerifyServiceOptions,
): Promise<Verification<VerifiedPeer>> {
  const { service, manifest, attestationUrl, transport } = options;
  const requireToken = options.requireToken ?? attestationUrl !== undefined;
  const nonce = options.random(NONCE_LENGTH);
  const checks: Check[] = [];
  const refuse = (check: string, code: string, error: unknown): Verification<VerifiedPeer> => {
    checks.push({ check, outcome: 'failed', code, ...detailOf(error) });
    return { ok: false, code, checks };
  };

  let envelope: EvidenceEnvelope;
  try {
    envelope = await fetchEvidence(options.baseUrl, nonce, transport);
  } catch (error) {
    const malformed =
      error instanceof MalformedError ||
      (error instanceof ClientError && error.code === 'malformed_answer');
    return refuse(
      'hardware: evidence received',
      malformed ? 'evidence_malformed' : 'evidence_unavailable',
      error,
    );
  }
  options.onEvidence?.(envelope);
  checks.push({ check: 'hardware: evidence received', outcome: 'passed', detail: envelope.format });

  let issuerKeys: readonly Jwk[] = [];
  if (attestationUrl !== undefined) {
    try {
      const { certs } = createAttestationClient({ baseUrl: attestationUrl, transport });
      issuerKeys = await certs();
      const issuers = await pinnedIssuers(manifest.manifest, issuerKeys);
      if (requireToken && issuers.every(({ keys }) => keys.length === 0))
        return refuse('hardware: issuer keys', 'issuer_keys_not_pinned', undefined);
      checks.push({ check: 'hardware: issuer keys', outcome: 'passed' });
    } catch (error) {
      if (requireToken) return refuse('hardware: issuer keys', 'issuer_keys_unavailable', error);
      checks.push({ check: 'hardware: issuer keys', outcome: 'skipped', ...detailOf(error) });
    }
  } else if (requireToken)
    return refuse('hardware: issuer keys', 'issuer_keys_unavailable', undefined);
  else checks.push({ check: 'hardware: issuer keys', outcome: 'skipped', detail: 'not asked for' });

  const verdict = await verifyPeer(envelope, {
    manifest,
    bridge: options.bridge,
    service,
    nonce,
    at: options.now(),
    issuerKeys,
    requireToken,
    crypto: options.crypto,
    judgeHeads: options.judgeHeads,
  });
  return { ...verdict, checks: [...checks, ...verdict.checks] };
}

/** Asks a service for evidence over a nonce (design 3.7). What comes back is not verified. */
export async function fetchEvidence(
  baseUrl: string,
  nonce: Uint8Array,
  transport: Fetch,
): Promise<EvidenceEnvelope> {
  const request = new Request(`${baseUrl.replace(/\/+$/, '')}/attestation/evidence`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: encodeUtf8(JSON.stringify({ nonce: encodeBase64url(nonce) })),
  });
  const answer = await exchange(transport, request, { where: 'evidence', limit: EVIDENCE_LIMIT });
  expectStatus(answer, 'evidence', 200);
  return parseEnvelope(jsonOf(answer, 'evidence'));
}

function detailOf(error: unknown): { detail?: string } {
  if (error instanceof ClientError)
    return { detail: error.status === undefined ? error.code : `${error.code} ${error.status}` };
  if (error instanceof MalformedError) return { detail: error.message };
  if (error instanceof Error && 'code' in error && typeof error.code === 'string')
    return { detail: error.code };
  return {};
}
