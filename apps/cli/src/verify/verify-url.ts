import {
  parseRuntimeData,
  type Check,
  type EvidenceEnvelope,
  type TrustedManifest,
  type Verification,
  type VerifiedHead,
  type VerifiedPeer,
} from '@cloister/attestation';
import { MalformedError } from '@cloister/bytes';
import { ClientError, fetchEvidence, UNREACHABLE_CODES, verifyService } from '@cloister/client';
import { NODE_EVIDENCE_CRYPTO, type Fetch } from '@cloister/service';
import { random } from '../local-trust.ts';
import { verifySigningKeys, type SigningKeyResult } from '../signing-keys.ts';
import type { Brokers } from './brokers.ts';

/** What is verified, and by what. */
export interface VerifyUrlOptions {
  readonly url: string;
  /** Which service of the manifest it must be; what it says itself where absent. */
  readonly service?: string | undefined;
  /** Where its token's issuer publishes keys; the issuer of the manifest unless told. */
  readonly attestation?: string | undefined;
  readonly manifest: TrustedManifest;
  /** The brokers by whose heads it is judged; without them, by none. */
  readonly brokers: Brokers | undefined;
  readonly transport: Fetch;
  readonly now: () => Date;
}

/** What came of it. */
export interface UrlVerdict {
  readonly ok: boolean;
  readonly code?: string;
  /** Whether the service, or somebody who is needed, could not be asked at all. */
  readonly unreachable: boolean;
  /** The service that it was to be; `a service` where none was named and it did not say. */
  readonly service: string;
  readonly manifest: TrustedManifest;
  readonly format?: string | undefined;
  readonly claims?: VerifiedPeer['claims'];
  readonly simulated: boolean;
  readonly checks: readonly Check[];
  readonly signingKeys: readonly SigningKeyResult[];
}

/**
 * The evidence of these stands alone: brokers make the heads that others name and judge tokens, and
 * the attestation service makes the tokens.
 */
export const STAND_ALONE: ReadonlySet<string> = new Set(['key-broker', 'attestation']);

/** Judges a running service by the manifest, as a peer would, and by the heads of brokers. */
export async function verifyUrl(options: VerifyUrlOptions): Promise<UrlVerdict> {
  const { url, manifest, brokers, transport, now } = options;
  let envelope: EvidenceEnvelope | undefined;
  const named = options.service ?? (await nameOf(url, transport));
  if (typeof named !== 'string') return { ...NOBODY, ...named, manifest };
  const service = named;
  const attestationUrl = options.attestation ?? manifest.manifest.issuers[0]?.iss;
  const result = await verifyService({
    baseUrl: url,
    service,
    manifest,
    ...(attestationUrl === undefined || STAND_ALONE.has(service) ? {} : { attestationUrl }),
    transport,
    now,
    random,
    crypto: NODE_EVIDENCE_CRYPTO,
    judgeHeads: STAND_ALONE.has(service) ? undefined : brokers?.judgeHeads,
    onEvidence: (seen) => {
      envelope = seen;
    },
  });
  const signingKeys =
    service === 'attestation' && result.ok
      ? await verifySigningKeys(url, { manifest, envelope, transport, at: now() })
      : [];
  const badKey = signingKeys.find(({ ok }) => !ok);
  const own = STAND_ALONE.has(service) ? brokers?.check() : undefined;
  const codes = [result, own].map((one) => (one === undefined || one.ok ? undefined : one.code));
  const code = [...codes, badKey?.code].find((one) => one !== undefined);
  return {
    ok: code === undefined && badKey === undefined,
    ...(code === undefined ? {} : { code }),
    unreachable: code !== undefined && UNREACHABLE_CODES.includes(code),
    service,
    manifest,
    format: envelope?.format,
    ...(result.ok ? { claims: result.claims.claims } : {}),
    simulated: result.ok && result.claims.simulated,
    checks: [...result.checks, ...(own === undefined ? [] : [inForce(own)])],
    signingKeys,
  };
}

/** What the broker's newest head says, for a service that names none. */
function inForce(own: Verification<VerifiedHead>): Check {
  const check = 'code: this agreement is in force';
  return own.ok ? { check, outcome: 'passed' } : { check, outcome: 'failed', code: own.code };
}

/** What a service says that it is; where it does not, why. */
async function nameOf(
  url: string,
  transport: Fetch,
): Promise<string | Pick<UrlVerdict, 'code' | 'unreachable' | 'checks'>> {
  try {
    const { runtimeData } = await fetchEvidence(url, random(32), transport);
    return parseRuntimeData(runtimeData).service;
  } catch (error) {
    if (!(error instanceof Error && 'code' in error)) throw error;
    const malformed =
      error instanceof MalformedError ||
      (error instanceof ClientError && error.code === 'malformed_answer');
    const code = malformed ? 'evidence_malformed' : 'evidence_unavailable';
    const check = { check: 'hardware: evidence received', outcome: 'failed', code } as const;
    return { code, unreachable: !malformed, checks: [check] };
  }
}

const NOBODY = { ok: false, service: 'a service', simulated: false, signingKeys: [] } as const;
