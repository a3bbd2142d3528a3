import { encodeBase64url, encodeUtf8 } from '@cloister/bytes';
import { sha256 } from '@cloister/crypto';
import type { ClaimValue, PolicyEngine } from './policy-engine.ts';

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

/** SHA-256 over the base64url of the text (spec/azure-attestation.md 2.1), base64url. */
export async function policyHash(text: string): Promise<string> {
  return encodeBase64url(await sha256(encodeUtf8(encodeBase64url(encodeUtf8(text)))));
}

/** The default policy as an engine: it permits, and issues the older names. */
export async function createDefaultPolicy(): Promise<PolicyEngine> {
  return {
    hash: await policyHash(DEFAULT_SGX_POLICY),
    issueClaims: (incoming) => {
      const issued: Record<string, ClaimValue> = {};
      for (const [from, to] of Object.entries(ISSUED)) {
        const value = incoming[from];
        if (value !== undefined) issued[to] = value;
      }
      return issued;
    },
  };
}
