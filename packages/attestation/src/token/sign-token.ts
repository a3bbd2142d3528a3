import { canonicalJson, encodeUtf8, type JsonObject } from '@cloister/bytes';
import { signJws } from '@cloister/crypto';

/**
 * An attestation token: a compact JWS whose header has the members that Azure Attestation
 * writes, alg, jku, kid and typ (spec/azure-attestation.md 3.1).
 */
export async function signToken(options: {
  readonly payload: JsonObject;
  readonly key: CryptoKey;
  readonly kid: string;
  readonly jku: string;
  readonly alg: 'RS256' | 'ES256';
}): Promise<string> {
  const { payload, key, kid, jku, alg } = options;
  return signJws({
    alg,
    key,
    header: { jku, kid, typ: 'JWT' },
    payload: encodeUtf8(canonicalJson(payload)),
  });
}
