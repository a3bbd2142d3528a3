import { hash } from 'node:crypto';
import {
  CLAIMS_VERSION,
  incomingClaims,
  scalarClaimsOf,
  type Appraisal,
  type EvidenceClaims,
  type PolicyOutcome,
} from '@cloister/attestation';
import { encodeBase64url, encodeHex, type Bytes, type JsonObject } from '@cloister/bytes';
import type { AttestedData, AttestRequest } from './attest-request.ts';
import { AzureError } from './azure-error.ts';
import type { EvidenceDeps, VerifiedEvidence } from './evidence/verified-evidence.ts';
import { checkSort, VERIFIERS } from './evidence/verify-evidence.ts';
import type { KeyRing } from './keys/key-ring.ts';
import type { AttestKind } from './kinds.ts';
import type { ActivePolicy, Policies } from './policy/policies.ts';
import { readPolicyText } from './policy/policy-document.ts';
import { refusalOf } from './refusal.ts';
import { attestationPayload } from './tokens/attestation-payload.ts';
import { signPayload } from './tokens/sign-payload.ts';

/** What the Verifier works with. */
export interface AttestDeps extends EvidenceDeps {
  /** The public base URL: `iss`, and the prefix of `jku`. */
  readonly baseUrl: string;
  readonly keys: KeyRing;
  readonly policies: Policies;
  /** The library's appraisal (debug, simulated, TCB); runs before the policy's text. */
  readonly appraise: (claims: EvidenceClaims) => Appraisal;
  /** The clock, by which tokens are dated. */
  readonly now: () => Date;
  readonly random: (length: number) => Bytes;
}

/** A token, with the claims it was made from. */
export interface Attested {
  readonly token: string;
  readonly claims: EvidenceClaims;
}

/** Told of each step of an attestation: for explanations. */
export interface AttestNotes {
  readonly verified: (evidence: VerifiedEvidence) => void;
  readonly appraised: (appraisal: Appraisal) => void;
  readonly evaluated: (policy: ActivePolicy, outcome: PolicyOutcome) => void;
}

/** The property by which a policy chooses its TCB baseline (spec/azure-attestation.md 4.4). */
const BASELINE = 'x-ms-sgx-tcbidentifier';
const OWN_BASELINE = 'azuredefault';

/**
 * Evidence in, Attestation Result out: verifies the evidence with this service's roots and
 * collateral, then what it vouches for, then appraises it, then asks the policy, then signs.
 * Throws AzureError where any of them says no.
 */
export async function attest(
  kind: AttestKind,
  request: AttestRequest,
  deps: AttestDeps,
  notes?: AttestNotes,
): Promise<Attested> {
  const { baseUrl, keys, now, random } = deps;
  checkSort(kind, deps.roots);
  const policy = await policyFor(kind, request, deps.policies);
  const evidence = await verifyFor(policy, kind, request.evidence, deps);
  notes?.verified(evidence);
  checkData(request, evidence);
  const { claims } = evidence;
  const appraisal = deps.appraise(claims);
  notes?.appraised(appraisal);
  if (!appraisal.ok) throw refusalOf(appraisal.code ?? 'policy.tee', appraisal.checks);
  const said = serviceSays(request, evidence);
  const explain = notes !== undefined;
  const scalars = scalarClaimsOf(claims);
  const incoming = incomingClaims({ tee: claims.tee, scalars, said, policyHash: policy.hash });
  const outcome = policy.policy.evaluate(incoming, { explain });
  notes?.evaluated(policy, outcome);
  if (!outcome.ok) throw new AzureError('PolicyEvaluationError', outcome.message, outcome.code);
  const payload = attestationPayload({
    issuer: baseUrl,
    at: now(),
    id: encodeHex(random(32)),
    policyHash: policy.hash,
    policySigner: policy.signer,
    service: { ...scalars, ...said, 'x-ms-ver': CLAIMS_VERSION },
    issued: outcome.issued,
  });
  const unsigned = request.draftPolicy !== undefined;
  return { token: signPayload(payload, keys.current(), { baseUrl, unsigned }), claims };
}

/** The stored policy, or the draft that the request brings: its token then has no signature. */
async function policyFor(
  kind: AttestKind,
  { draftPolicy }: AttestRequest,
  policies: Policies,
): Promise<ActivePolicy> {
  if (draftPolicy === undefined) return policies.active(kind);
  return { ...readPolicyText(draftPolicy), signer: undefined };
}

/** Verifies with the TCB baseline that the policy names, if it names one. */
async function verifyFor(
  { policy }: ActivePolicy,
  kind: AttestKind,
  evidence: Bytes,
  deps: AttestDeps,
): Promise<VerifiedEvidence> {
  const configured = policy.version === '1.0' ? undefined : policy.configure([]);
  if (configured?.ok === false)
    throw new AzureError('PolicyEvaluationError', configured.message, configured.code);
  const named = configured?.properties[BASELINE];
  if (named === undefined || named === OWN_BASELINE) return VERIFIERS[kind](evidence, deps);
  if (typeof named !== 'string' || !/^[1-9]\d{0,3}$/.test(named))
    throw new AzureError('PolicyEvaluationError', `${BASELINE}: no baseline`, 'bad_baseline');
  return VERIFIERS[kind](evidence, deps, Number(named));
}

/** What the evidence vouches for is what the request says (spec/azure-attestation.md 1.4). */
function checkData(
  { runtimeData, initTimeData }: AttestRequest,
  { reportData, initTimeRegister }: VerifiedEvidence,
): void {
  if (runtimeData !== undefined && !isHashOf(runtimeData, reportData))
    throw new AzureError(
      'InvalidParameter',
      'The SHA-256 hash of runtimeData does not match the report data of the quote',
      'runtime_data_mismatch',
    );
  if (
    initTimeData !== undefined &&
    (initTimeRegister === undefined || !isHashOf(initTimeData, initTimeRegister))
  )
    throw new AzureError(
      'InvalidParameter',
      'The SHA-256 hash of initTimeData does not match the configuration register of the quote',
      'init_time_data_mismatch',
    );
}

function isHashOf({ bytes }: AttestedData, register: string): boolean {
  return hash('sha256', bytes, 'hex') === register.slice(0, 64);
}

/** What the service says besides the scalars: objects, and what came with the request. */
function serviceSays(
  { runtimeData, initTimeData, nonce }: AttestRequest,
  { objects, heldDataNames }: VerifiedEvidence,
): JsonObject {
  const said: JsonObject = { ...objects };
  if (runtimeData?.json !== undefined) said['x-ms-runtime'] = runtimeData.json;
  else if (runtimeData !== undefined) {
    const held = encodeBase64url(runtimeData.bytes);
    for (const name of heldDataNames) said[name] = held;
  }
  if (initTimeData?.json !== undefined) said['x-ms-inittime'] = initTimeData.json;
  if (nonce !== undefined) said['nonce'] = nonce;
  return said;
}
