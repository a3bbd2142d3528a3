import { encodeBase64url, encodeUtf8, canonicalJson, type JsonObject } from '@cloister/bytes';
import { parseIssuerKeys } from '@cloister/attestation';
import type { Fetch } from '@cloister/channel';
import type { Jwk } from '@cloister/crypto';
import { exchange, expectStatus, jsonOf } from './exchange.ts';
import { readAnswer, textOf } from './fields.ts';

/** Which sort of evidence is attested; the last path segment of the operation. */
export type AttestKind = 'SgxEnclave' | 'Simulated';

/** What is attested (spec/azure-attestation.md 1.3). */
export interface AttestRequest {
  readonly quote: Uint8Array;
  /** Its SHA-256 stands in the report data; comes back as the claim `x-ms-runtime`. */
  readonly runtimeData: Uint8Array;
  /** Comes back as the claim `nonce`. */
  readonly nonce?: string;
}

/** Client of an attestation service with Azure Attestation's interface. */
export interface AttestationClient {
  /** A token about the evidence. Its signature is *not* checked here: `verifyToken` does. */
  readonly attest: (kind: AttestKind, request: AttestRequest) => Promise<string>;
  /** The issuer's published keys: none is trusted until a thumbprint is pinned (rule 5). */
  readonly certs: () => Promise<readonly Jwk[]>;
  /** Endorsements of a platform (design 3.7), signed by the processor's maker. */
  readonly collateral: (
    tee: 'sgx' | 'tdx',
    platform: { readonly fmspc: string; readonly ca: string },
  ) => Promise<JsonObject>;
}

const API_VERSION = '2022-08-01';
const LIMIT = 4 << 20;

/** Makes a client of the attestation service at a base URL. */
export function createAttestationClient({
  baseUrl,
  transport,
}: {
  readonly baseUrl: string;
  readonly transport: Fetch;
}): AttestationClient {
  const base = baseUrl.replace(/\/+$/, '');
  const get = async (path: string, where: string): Promise<JsonObject> => {
    const answer = await exchange(transport, new Request(`${base}${path}`), {
      where,
      limit: LIMIT,
    });
    expectStatus(answer, where, 200);
    return jsonOf(answer, where);
  };
  return {
    async attest(kind, { quote, runtimeData, nonce }) {
      const body = canonicalJson({
        quote: encodeBase64url(quote),
        runtimeData: { data: encodeBase64url(runtimeData), dataType: 'JSON' },
        ...(nonce === undefined ? {} : { nonce }),
      });
      const request = new Request(`${base}/attest/${kind}?api-version=${API_VERSION}`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: encodeUtf8(body),
      });
      const answer = await exchange(transport, request, { where: 'attest', limit: LIMIT });
      expectStatus(answer, 'attest', 200);
      return readAnswer('attest', () => textOf(jsonOf(answer, 'attest'), 'token'));
    },
    async certs() {
      const jwks = await get('/certs', 'attestation certs');
      return readAnswer('attestation certs', () => parseIssuerKeys(jwks));
    },
    collateral(tee, { fmspc, ca }) {
      const query = new URLSearchParams({ fmspc, ca });
      return get(`/collateral/${tee}?${query.toString()}`, 'collateral');
    },
  };
}
