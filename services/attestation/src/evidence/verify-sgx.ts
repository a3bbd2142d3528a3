import {
  unwrapOpenEnclaveReport,
  verifySgxQuote,
  type ClaimValue,
  type SgxClaims,
} from '@cloister/attestation';
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
    scalars: sgxScalars(claims),
    objects: { 'x-ms-sgx-collateral': hashes, 'maa-attestationcollateral': hashes },
    aliases: ALIASES,
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

/** The older names of incoming claims (spec/azure-attestation.md 3.3). */
const ALIASES = {
  '$is-debuggable': 'x-ms-sgx-is-debuggable',
  '$product-id': 'x-ms-sgx-product-id',
  '$sgx-mrsigner': 'x-ms-sgx-mrsigner',
  '$sgx-mrenclave': 'x-ms-sgx-mrenclave',
  $svn: 'x-ms-sgx-svn',
  $tee: 'x-ms-attestation-type',
  '$maa-ehd': 'maa-ehd',
  '$aas-ehd': 'aas-ehd',
  '$maa-attestationcollateral': 'maa-attestationcollateral',
};

/** The claims of an enclave (spec/azure-attestation.md 3.3). */
function sgxScalars(claims: SgxClaims): Record<string, ClaimValue> {
  return {
    'x-ms-attestation-type': claims.simulated ? 'simulated' : 'sgx',
    'x-ms-sgx-is-debuggable': claims.debug,
    'x-ms-sgx-product-id': claims.isvProdId,
    'x-ms-sgx-svn': claims.isvSvn,
    'x-ms-sgx-mrenclave': claims.mrenclave,
    'x-ms-sgx-mrsigner': claims.mrsigner,
    'x-ms-sgx-report-data': claims.reportData,
    ...(hasKss(claims)
      ? {
          'x-ms-sgx-config-id': claims.configId,
          'x-ms-sgx-config-svn': claims.configSvn,
          'x-ms-sgx-isv-extended-product-id': claims.isvExtProdId,
          'x-ms-sgx-isv-family-id': claims.isvFamilyId,
        }
      : {}),
  };
}

/** ATTRIBUTES.KSS (Intel SDM vol. 3D, 35.7.1): only then do CONFIGID and its relatives mean anything. */
function hasKss({ attributes }: SgxClaims): boolean {
  return (Number.parseInt(attributes.slice(0, 2), 16) & 0x80) !== 0;
}
