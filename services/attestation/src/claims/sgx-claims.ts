import type { SgxClaims } from '@cloister/attestation';
import { decodeHex, encodeBase64url, type JsonObject } from '@cloister/bytes';
import type { AttestRequest } from '../attest-request.ts';
import type { PolicyClaims } from '../policy/policy-engine.ts';
import type { CollateralHashes } from './collateral-hashes.ts';

/** ATTRIBUTES.KSS (Intel SDM vol. 3D, 35.7.1): only then do the fields below mean anything. */
const KSS = 0x80;

/** Whether the enclave has Key Separation and Sharing, and with it CONFIGID and its relatives. */
export function hasKss(claims: SgxClaims): boolean {
  return ((decodeHex(claims.attributes)[0] ?? 0) & KSS) !== 0;
}

/** The claims of an enclave that policies see (spec/azure-attestation.md 4.6). */
export function sgxPolicyClaims(claims: SgxClaims): PolicyClaims {
  return {
    'x-ms-attestation-type': claims.simulated ? 'simulated' : 'sgx',
    'x-ms-ver': '1.0',
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

/** The claims of an enclave that policies do not see: objects, and what came with the request. */
export function sgxServiceClaims(request: AttestRequest, hashes: CollateralHashes): JsonObject {
  const { runtimeData, initTimeData, nonce } = request;
  return {
    'x-ms-sgx-collateral': { ...hashes },
    'maa-attestationcollateral': { ...hashes },
    ...(runtimeData === undefined
      ? {}
      : runtimeData.json === undefined
        ? heldData(encodeBase64url(runtimeData.bytes))
        : { 'x-ms-runtime': runtimeData.json }),
    ...(initTimeData?.json === undefined ? {} : { 'x-ms-inittime': initTimeData.json }),
    ...(nonce === undefined ? {} : { nonce }),
  };
}

function heldData(data: string): JsonObject {
  return { 'x-ms-sgx-ehd': data, 'maa-ehd': data, 'aas-ehd': data };
}
