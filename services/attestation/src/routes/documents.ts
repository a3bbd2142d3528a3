import type { Hono } from 'hono';
import { encodeBase64, type Bytes } from '@cloister/bytes';
import { azureJson } from '../azure-error.ts';
import type { SigningKey } from '../signing/signing-key.ts';

/** The claims that the real service names in its metadata (spec/azure-attestation.md 1.6). */
const CLAIMS = [
  'cnf',
  'nonce',
  'x-ms-ver',
  'x-ms-attestation-type',
  'x-ms-policy-hash',
  'x-ms-policy-signer',
  'x-ms-sgx-is-debuggable',
  'x-ms-sgx-mrenclave',
  'x-ms-sgx-mrsigner',
  'x-ms-sgx-svn',
  'x-ms-sgx-ehd',
  'x-ms-sgx-collateral',
  'is-debuggable',
  'sgx-mrsigner',
  'sgx-mrenclave',
  'product-id',
  'svn',
  'tee',
];

/** `GET /certs` and the OpenID metadata: neither takes an api-version. */
export function documentRoutes(
  app: Hono,
  { baseUrl, key, certificate }: { baseUrl: string; key: SigningKey; certificate: Bytes },
): void {
  const { kty, n, e } = key.jwk;
  const jwk = {
    x5c: [encodeBase64(certificate)],
    kid: key.kid,
    kty,
    n,
    e,
    alg: 'RS256',
    use: 'sig',
  };
  app.get('/certs', () => azureJson({ keys: [jwk] }));
  app.get('/.well-known/openid-configuration', () =>
    azureJson({
      response_types_supported: ['token', 'none'],
      id_token_signing_alg_values_supported: ['RS256'],
      revocation_endpoint: `${baseUrl}/revoke`,
      issuer: baseUrl,
      jwks_uri: `${baseUrl}/certs`,
      claims_supported: CLAIMS,
    }),
  );
}
