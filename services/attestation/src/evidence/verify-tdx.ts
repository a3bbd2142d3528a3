import { verifyTdxQuote } from '@cloister/attestation';
import { NODE_EVIDENCE_CRYPTO } from '@cloister/service';
import { refusalOf } from '../refusal.ts';
import { collateralFor } from './intel-collateral.ts';
import type { VerifyEvidence } from './verified-evidence.ts';

/** A TDX quote; the init-time data's hash is looked for in MRCONFIGID (spec/azure-attestation.md 1.4). */
export const verifyTdx: VerifyEvidence = async (quote, deps, baseline) => {
  const { roots, cache, verificationTime } = deps;
  const result = await verifyTdxQuote(quote, {
    collateral: await collateralFor('tdx', quote, deps, baseline),
    at: verificationTime(),
    anchors: roots.anchors,
    cache,
    crypto: NODE_EVIDENCE_CRYPTO,
  });
  if (!result.ok) throw refusalOf(result.code, result.checks);
  const { claims, checks } = result;
  return {
    claims,
    checks,
    objects: {},
    heldDataNames: ['x-ms-tdx-ehd'],
    reportData: claims.reportData,
    initTimeRegister: claims.mrconfigid,
  };
};
