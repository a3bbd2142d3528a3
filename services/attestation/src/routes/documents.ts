import type { Hono } from 'hono';
import { encodeBase64, type JsonObject } from '@cloister/bytes';
import { checkApiVersion } from '../api-version.ts';
import { azureJson } from '../azure-error.ts';
import type { CollateralStore } from '../collateral/collateral-store.ts';
import type { KeyRing, PublishedKey } from '../keys/key-ring.ts';
import type { AttestKind } from '../kinds.ts';
import type { Policies } from '../policy/policies.ts';

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

/** What the documents are made of. */
export interface DocumentDeps {
  readonly baseUrl: string;
  readonly keys: KeyRing;
  readonly policies: Policies;
  readonly collateral: CollateralStore;
}

/** `GET /certs`, the OpenID metadata (neither takes an api-version) and the TCB baselines. */
export function documentRoutes(app: Hono, deps: DocumentDeps): void {
  const { baseUrl, keys } = deps;
  app.get('/certs', () => azureJson({ keys: keys.published().map(jwkOf) }));
  app.get('/.well-known/openid-configuration', () =>
    azureJson({
      response_types_supported: ['token', 'none'],
      id_token_signing_alg_values_supported: [...new Set(keys.published().map(({ alg }) => alg))],
      revocation_endpoint: `${baseUrl}/revoke`,
      issuer: baseUrl,
      jwks_uri: `${baseUrl}/certs`,
      claims_supported: CLAIMS,
    }),
  );
  for (const [type, tee] of [
    ['SgxEnclave', 'sgx'],
    ['OpenEnclave', 'sgx'],
    ['TdxVm', 'tdx'],
  ] as const)
    app.get(`/tcbbaselines/${type}`, async (c) => {
      checkApiVersion(c.req.query('api-version'));
      return azureJson({ tcbBaselines: await baselinesOf(type, tee, deps) });
    });
}

function jwkOf({ certificate, kid, jwk, alg }: PublishedKey): JsonObject {
  const { kty, n, e, crv, x, y } = jwk;
  const members = kty === 'EC' ? { crv, x, y } : { n, e };
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- texts, of one kind or the other
  const publicMembers = members as Record<string, string>;
  return { x5c: [encodeBase64(certificate)], kid, kty, ...publicMembers, alg, use: 'sig' };
}

/**
 * The baselines that a policy may name (spec/azure-attestation.md 1.6): `azuredefault`, which is
 * the newest TCB that is enforced here, and each evaluation data number that is at hand. Versions
 * of PSW are Azure's own knowledge and left out.
 */
async function baselinesOf(
  type: AttestKind,
  tee: 'sgx' | 'tdx',
  { collateral, policies }: DocumentDeps,
): Promise<JsonObject[]> {
  const { policy } = await policies.active(type);
  const configured = policy.configure([]);
  const named = configured.ok ? configured.properties['x-ms-sgx-tcbidentifier'] : undefined;
  const selected = named ?? 'azuredefault';
  const numbers = collateral.baselines(tee);
  const rows = numbers.map((one) => ({ id: String(one.evaluation), ...one }));
  const [newest] = rows;
  if (newest !== undefined) rows.unshift({ ...newest, id: 'azuredefault' });
  return rows.map(({ id, evaluation, issued }) => ({
    tcbIdentifier: id,
    tcbEvaluationDataNumber: evaluation,
    tcbReleaseDate: issued.toISOString().slice(0, 19),
    isSelectedTcb: id === selected,
  }));
}
