import { hasKss, unwrapOpenEnclaveReport, verifySgxQuote } from '@cloister/attestation';
import { MalformedError, type Bytes } from '@cloister/bytes';
import { NODE_EVIDENCE_CRYPTO } from '@cloister/service';
import { refusalOf } from '../refusal.ts';
import { hashCollateral } from './collateral-hashes.ts';
import { collateralFor } from './intel-collateral.ts';
import type { VerifiedEvidence, VerifyEvidence } from './verified-evidence.ts';

/** An SGX quote, of the makers' roots or of simulated ones. */
export const verifySgx: VerifyEvidence = (quote, deps, baseline) =>
  verify(quote, quote, deps, baseline);

/** A quote in Open Enclave's header; what was submitted is hashed whole. */
export const verifyOpenEnclave: VerifyEvidence = (report, deps, baseline) =>
  verify(unwrap(report), report, deps, baseline);

async function verify(
  quote: Bytes,
  submitted: Bytes,
  deps: Parameters<VerifyEvidence>[1],
  baseline: number | undefined,
): Promise<VerifiedEvidence> {
  const { roots, cache, verificationTime } = deps;
  const collateral = await collateralFor('sgx', quote, deps, baseline);
  const result = await verifySgxQuote(quote, {
    collateral,
    at: verificationTime(),
    anchors: roots.anchors,
    cache,
    crypto: NODE_EVIDENCE_CRYPTO,
  });
  if (!result.ok) throw refusalOf(result.code, result.checks);
  const { claims, checks } = result;
  if (claims.simulated !== (roots.sort === 'simulated')) throw refusalOf('pck.chain', checks);
  const hashes = hashCollateral(submitted, collateral);
  return {
    claims,
    checks,
    objects: { 'x-ms-sgx-collateral': hashes, 'maa-attestationcollateral': hashes },
    heldDataNames: HELD_DATA,
    reportData: claims.reportData,
    initTimeRegister: hasKss(claims) ? claims.configId : undefined,
  };
}

function unwrap(report: Bytes): Bytes {
  try {
    return unwrapOpenEnclaveReport(report);
  } catch (error) {
    if (!(error instanceof MalformedError)) throw error;
    throw refusalOf('report.format');
  }
}

const HELD_DATA = ['x-ms-sgx-ehd', 'maa-ehd', 'aas-ehd'];
