import { encodeUtf8 } from '@cloister/bytes';
import { signJws } from '@cloister/crypto';

/** The `typ` of a party's signature over a manifest: it is good for nothing else. */
export const MANIFEST_TYP = 'cloister-manifest+jws';

/**
 * A party's signature over a manifest's id: a detached JWS (RFC 7515, appendix F; ES256) whose
 * header names the purpose and the party.
 */
export async function signManifest(id: string, party: string, key: CryptoKey): Promise<string> {
  return signJws({
    alg: 'ES256',
    key,
    header: { typ: MANIFEST_TYP, party },
    payload: encodeUtf8(id),
    detached: true,
  });
}
