import {
  signToken,
  verifySgxQuote,
  type Appraisal,
  type IntelCollateral,
  type SgxClaims,
  type VerificationCache,
} from '@cloister/attestation';
import { decodeHex, encodeHex, equalBytes, MalformedError, type Bytes } from '@cloister/bytes';
import { sha256 } from '@cloister/crypto';
import type { AttestedData, AttestRequest } from './attest-request.ts';
import { AzureError } from './azure-error.ts';
import { hashCollateral } from './claims/collateral-hashes.ts';
import { hasKss, sgxPolicyClaims, sgxServiceClaims } from './claims/sgx-claims.ts';
import { tokenPayload } from './claims/token-payload.ts';
import type { CollateralStore } from './collateral/collateral-store.ts';
import type { AttestKind } from './events.ts';
import { NODE_CRYPTO } from './node-evidence-crypto.ts';
import type { PolicyEngine } from './policy/policy-engine.ts';
import type { SigningKey } from './signing/signing-key.ts';
import type { Roots } from './roots.ts';
import { refusalOf } from './refusal.ts';

/** What the Verifier works with. */
export interface AttestDeps {
  /** The public base URL: `iss`, and the prefix of `jku`. */
  readonly baseUrl: string;
  readonly key: SigningKey;
  readonly policy: PolicyEngine;
  readonly roots: Roots;
  readonly collateral: CollateralStore;
  /** The library's appraisal (debug, simulated, TCB); runs before the policy's text. */
  readonly appraise: (claims: SgxClaims) => Appraisal;
  readonly cache: VerificationCache;
  readonly now: () => Date;
  readonly random: (length: number) => Bytes;
}

/** A token, with the claims it was made from. */
export interface Attested {
  readonly token: string;
  readonly claims: SgxClaims;
}

/** Of an Open Enclave report: `u32le version = 1, u32le type = 2, u64le size`. */
const OE_HEADER = 16;

/**
 * Evidence in, Attestation Result out: verifies the quote with this service's roots and
 * collateral, then what it vouches for, then appraises it, then asks the policy, then signs.
 * Throws AzureError where any of them says no.
 */
export async function attest(
  kind: AttestKind,
  request: AttestRequest,
  deps: AttestDeps,
): Promise<Attested> {
  const { baseUrl, key, policy, random } = deps;
  if (request.draftPolicy !== undefined)
    throw new AzureError(
      'InvalidOperation',
      'draftPolicyForAttestation: this instance evaluates its default policy only',
      'draft_policy',
    );
  checkSort(kind, deps.roots);
  const quote = kind === 'OpenEnclave' ? unwrapReport(request.evidence) : request.evidence;
  const at = deps.now();
  const collateral = findCollateral(quote, deps.collateral, at);
  const claims = await verify(quote, collateral, { at, roots: deps.roots, cache: deps.cache });
  await checkRuntimeData(request.runtimeData, claims);
  await checkInitTimeData(request.initTimeData, claims);
  const appraisal = deps.appraise(claims);
  if (!appraisal.ok) throw refusalOf(appraisal.code ?? 'policy.tee');
  const visible = sgxPolicyClaims(claims);
  const issued = await policy.issueClaims(visible);
  const hashes = await hashCollateral(request.evidence, collateral);
  const payload = tokenPayload({
    issuer: baseUrl,
    at,
    id: encodeHex(random(32)),
    policyHash: policy.hash,
    service: { ...visible, ...sgxServiceClaims(request, hashes) },
    issued,
  });
  const jku = `${baseUrl}/certs`;
  const token = await signToken({ payload, key: key.privateKey, kid: key.kid, jku, alg: 'RS256' });
  return { token, claims };
}

/** A verifier holds one sort of roots, never both (design 2.1, rule 9). */
function checkSort(kind: AttestKind, roots: Roots): void {
  if ((kind === 'Simulated') === (roots.sort === 'simulated')) return;
  const sort = roots.sort === 'simulated' ? 'simulated' : 'hardware';
  throw new AzureError(
    'InvalidOperation',
    `This instance verifies ${sort} evidence only`,
    'wrong_sort_of_evidence',
  );
}

/** The same verification for both sorts; only the anchors differ, and the claims say which. */
async function verify(
  quote: Bytes,
  collateral: IntelCollateral,
  { at, roots, cache }: { at: Date; roots: Roots; cache: VerificationCache },
): Promise<SgxClaims> {
  const { anchors } = roots;
  const options = { collateral, at, anchors, cache, crypto: NODE_CRYPTO };
  const result = await verifySgxQuote(quote, options);
  if (!result.ok) throw refusalOf(result.code);
  if (result.claims.simulated !== (roots.sort === 'simulated')) throw refusalOf('pck.chain');
  return result.claims;
}

function findCollateral(quote: Bytes, store: CollateralStore, at: Date): IntelCollateral {
  try {
    const collateral = store.findForQuote(quote, at);
    if (collateral !== undefined) return collateral;
  } catch (error) {
    if (!(error instanceof MalformedError)) throw error;
    throw refusalOf('quote.format');
  }
  throw new AzureError(
    'InvalidParameter',
    'The specified quote was invalid due to an error in the quote collateral: none is known for its platform',
    'no_collateral',
  );
}

function unwrapReport(report: Bytes): Bytes {
  const view = new DataView(report.buffer, report.byteOffset, report.byteLength);
  if (
    report.length < OE_HEADER ||
    view.getUint32(0, true) !== 1 ||
    view.getUint32(4, true) !== 2 ||
    view.getBigUint64(8, true) !== BigInt(report.length - OE_HEADER)
  )
    throw refusalOf('report.format');
  return report.subarray(OE_HEADER);
}

/** SHA-256 of the data is the first half of REPORTDATA (spec/azure-attestation.md 1.4). */
async function checkRuntimeData(
  data: AttestedData | undefined,
  { reportData }: SgxClaims,
): Promise<void> {
  if (data !== undefined && !(await isHashOf(data.bytes, reportData)))
    throw new AzureError(
      'InvalidParameter',
      'The SHA-256 hash of runtimeData does not match the report data of the quote',
      'runtime_data_mismatch',
    );
}

/** SHA-256 of the data is the first half of CONFIGID, which only enclaves with KSS have. */
async function checkInitTimeData(data: AttestedData | undefined, claims: SgxClaims): Promise<void> {
  if (data === undefined) return;
  if (!hasKss(claims) || !(await isHashOf(data.bytes, claims.configId)))
    throw new AzureError(
      'InvalidParameter',
      'The SHA-256 hash of initTimeData does not match the configuration id of the quote',
      'init_time_data_mismatch',
    );
}

async function isHashOf(bytes: Bytes, register: string): Promise<boolean> {
  return equalBytes(await sha256(bytes), decodeHex(register).subarray(0, 32));
}
