import type { EvidenceClaims } from '@cloister/attestation';
import { decodeUtf8, isJsonObject, parseJsonObject, type JsonObject } from '@cloister/bytes';
import { parseJwk, signJws, verifyJws, type Jwk } from '@cloister/crypto';
import { RcarError } from './rcar-error.ts';
import type { AttestedClient } from './sessions.ts';

/** The `typ` of our Attestation Results: a broker's key signs other things as well. */
const TYP = 'cloister-kbs+jwt';
/** How long a token is good, in seconds. */
const LIFE = 300;
/** AR4SI: 2 affirms, in the dimensions of which this verifier speaks. */
const AFFIRMING = 2;

/**
 * The Attestation Result for a client that was verified: an EAR (AR4SI trustworthiness vector) with
 * the client's key, so that whoever presents it gets what is encrypted to that key.
 */
export function signRcarToken(
  client: AttestedClient,
  { issuer, now, key }: { readonly issuer: string; readonly now: number; readonly key: CryptoKey },
): Promise<string> {
  const payload: JsonObject = {
    iss: issuer,
    iat: now,
    nbf: now,
    exp: now + LIFE,
    eat_profile: 'tag:github.com,2024:confidential-containers/Trustee',
    'tee-pubkey': { ...client.key },
    manifest: client.manifest,
    evidence: client.evidenceDigest,
    submods: {
      cpu0: {
        'ear.status': 'affirming',
        'ear.trustworthiness-vector': {
          'instance-identity': AFFIRMING,
          executables: AFFIRMING,
          hardware: AFFIRMING,
        },
        // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- claims are JSON
        'ear.veraison.annotated-evidence': client.claims as unknown as JsonObject,
      },
    },
  };
  return signJws({ alg: 'ES256', key, header: { typ: TYP }, payload: JSON.stringify(payload) });
}

/** The client of a token of ours that is still good; RcarError where it is not. */
export async function verifyRcarToken(
  token: string,
  options: { readonly issuer: string; readonly now: number; readonly key: Jwk },
): Promise<AttestedClient> {
  const verdict = await verifyJws(token, { key: options.key, algs: ['ES256'], typ: TYP });
  if (!verdict.ok) throw refused('signature');
  const { iss, exp, manifest, evidence, submods, ...rest } = parseJsonObject(
    decodeUtf8(verdict.payload),
    'token',
  );
  if (iss !== options.issuer) throw refused('issuer');
  if (typeof exp !== 'number' || exp <= options.now) throw refused('expired');
  const cpu = isJsonObject(submods) ? submods['cpu0'] : undefined;
  const claims = isJsonObject(cpu) ? cpu['ear.veraison.annotated-evidence'] : undefined;
  if (!isJsonObject(claims) || typeof manifest !== 'string' || typeof evidence !== 'string')
    throw refused('claims');
  return {
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- we signed it ourselves
    claims: claims as unknown as EvidenceClaims,
    key: parseJwk(rest['tee-pubkey'] ?? null, 'tee-pubkey'),
    evidenceDigest: evidence,
    manifest,
  };
}

function refused(detail: string): RcarError {
  return new RcarError('Unauthenticated', `token: ${detail}`);
}
