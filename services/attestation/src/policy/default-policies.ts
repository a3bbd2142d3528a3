import { encodeBase64url, encodeUtf8 } from '@cloister/bytes';
import type { PolicyType } from '../kinds.ts';

/** What the default policy issues: the older name of each claim (spec/azure-attestation.md 4.8). */
const ISSUED = {
  'x-ms-sgx-is-debuggable': 'is-debuggable',
  'x-ms-sgx-mrsigner': 'sgx-mrsigner',
  'x-ms-sgx-mrenclave': 'sgx-mrenclave',
  'x-ms-sgx-product-id': 'product-id',
  'x-ms-sgx-svn': 'svn',
  'x-ms-attestation-type': 'tee',
} as const;

/**
 * The text of the default policy for SGX and Open Enclave, character for character that of Azure
 * Attestation: its hash is what relying parties pin.
 */
export const DEFAULT_SGX_POLICY = `version= 1.0;authorizationrules{=> permit();};issuancerules{${Object.entries(
  ISSUED,
)
  .map(([from, to]) => `c:[type=="${from}"] => issue(type="${to}", value=c.value);`)
  .join('')}};`;

/** For machines whose default policy's text is not public: it permits, and issues nothing. */
const PERMIT = 'version= 1.0;authorizationrules{=> permit();};issuancerules{};';

/** The policies that are in force where none was set. There is none for TPMs: it must be set. */
export const DEFAULT_POLICIES: Readonly<Record<PolicyType, string | undefined>> = {
  SgxEnclave: DEFAULT_SGX_POLICY,
  OpenEnclave: DEFAULT_SGX_POLICY,
  Simulated: DEFAULT_SGX_POLICY,
  SevSnpVm: PERMIT,
  TdxVm: PERMIT,
  AzureGuest: PERMIT,
  Tpm: undefined,
};

/** A policy as an unsecured JWS; without a text, what Azure Attestation shows where there is none. */
export function unsecuredPolicy(text: string | undefined): string {
  const header = encodeBase64url(encodeUtf8('{"alg":"none"}'));
  if (text === undefined) return `${header}..`;
  const payload = JSON.stringify({ AttestationPolicy: encodeBase64url(encodeUtf8(text)) });
  return `${header}.${encodeBase64url(encodeUtf8(payload))}.`;
}
