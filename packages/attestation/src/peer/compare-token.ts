import {
  canonicalJson,
  encodeUtf8,
  equalBytes,
  type Bytes,
  type JsonObject,
} from '@cloister/bytes';
import type { CheckList } from '../check-list.ts';
import type { EvidenceClaims } from '../claims.ts';
import type { TokenEvidenceClaims } from '../token/claims-of-token.ts';
import type { PeerClaims } from './verified-peer.ts';

/**
 * Checks that a token speaks of the very evidence that was verified: of the same code, report data
 * and runtime data. One about a confidential VM of Azure speaks of its paravisor: the report data
 * and runtime claims are the paravisor's, and of the guest's own runtime data it knows nothing.
 */
export function compareToken(
  list: CheckList,
  token: TokenEvidenceClaims,
  claims: PeerClaims,
  runtimeData: Bytes,
): void {
  const azure = claims.tee === 'azure-cvm';
  const hardware = azure ? claims.hardware : claims;
  const expected = azure ? bytesOf(claims.runtime.document) : runtimeData;
  list.expect('code: token names this code', agrees(token, hardware), 'token_code_mismatch');
  const sameReport = token.reportData === hardware.reportData;
  list.expect('channel: token report data', sameReport, 'token_report_data_mismatch');
  const { runtime } = token;
  const sameRuntime = runtime !== undefined && equalBytes(bytesOf(runtime), expected);
  list.expect('channel: token runtime data', sameRuntime, 'token_runtime_mismatch');
}

function bytesOf(document: JsonObject): Bytes {
  return encodeUtf8(canonicalJson(document));
}

/** Whether a token speaks of the same code as the evidence, as far as it speaks of it. */
function agrees(token: TokenEvidenceClaims, claims: EvidenceClaims): boolean {
  if (token.simulated !== claims.simulated || token.debug !== claims.debug) return false;
  if (token.tee === 'sgx' && claims.tee === 'sgx') {
    return (
      token.mrenclave === claims.mrenclave &&
      token.mrsigner === claims.mrsigner &&
      token.isvProdId === claims.isvProdId &&
      token.isvSvn === claims.isvSvn &&
      (token.configId === undefined || token.configId === claims.configId) &&
      (token.configSvn === undefined || token.configSvn === claims.configSvn)
    );
  }
  if (token.tee === 'snp' && claims.tee === 'snp') {
    return (
      token.measurement === claims.measurement &&
      token.hostData === claims.hostData &&
      token.idKeyDigest === claims.idKeyDigest &&
      token.authorKeyDigest === claims.authorKeyDigest &&
      token.guestSvn === claims.guestSvn &&
      token.vmpl === claims.vmpl
    );
  }
  return (
    token.tee === 'tdx' &&
    claims.tee === 'tdx' &&
    token.mrtd === claims.mrtd &&
    token.rtmrs.every((value, index) => value === claims.rtmrs[index]) &&
    token.mrseam === claims.mrseam &&
    token.mrconfigid === claims.mrconfigid &&
    token.mrowner === claims.mrowner &&
    token.mrownerconfig === claims.mrownerconfig &&
    token.tdAttributes === claims.tdAttributes &&
    token.xfam === claims.xfam
  );
}
