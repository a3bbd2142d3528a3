import {
  decodeBase64,
  MalformedError,
  type Bytes,
  type JsonObject,
  type JsonValue,
} from '@cloister/bytes';
import {
  jwkFromSpki,
  parseCertificate,
  parseJwk,
  parseJws,
  spkiFromJwk,
  verifyJws,
  type Jwk,
} from '@cloister/crypto';
import { AzureError } from '../azure-error.ts';

/** Who signed a management JWS: the key, and how the token that answers names it. */
export interface DocumentSigner {
  /** SubjectPublicKeyInfo. */
  readonly spki: Bytes;
  /** `x-ms-policy-signer` (spec/azure-attestation.md 2). */
  readonly jwk: JsonObject;
}

/** A management JWS whose signature was verified, or that has none. */
export interface ManagementJws {
  readonly payload: Bytes;
  readonly signer: DocumentSigner | undefined;
}

const KEY_TYPES = { RS256: 'RSA', ES256: 'EC' } as const;
const LONGEST_CHAIN = 16;

/**
 * Reads a policy, reset or certificate JWS (spec/azure-attestation.md 2.2 to 2.4): unsecured, or
 * signed with the key of its header, `x5c` or `jwk`. That the signature verifies says only that
 * who signed has that key; an isolated instance goes on to ask whose key it is.
 */
export async function readManagementJws(compact: string): Promise<ManagementJws> {
  const { header, payload, signature } = parse(compact);
  const { alg } = header;
  if (alg === 'none') {
    if (signature.length > 0) throw invalid('an unsecured JWT has an empty signature');
    return { payload, signer: undefined };
  }
  if (alg !== 'RS256' && alg !== 'ES256')
    throw invalid('the algorithm of the JWT is none, RS256 or ES256');
  const signer = signerOf(header, alg);
  const key = jwkFromSpki(signer.spki);
  const verdict = await verifyJws(compact, { key, algs: [alg] });
  if (!verdict.ok) throw invalid(`the signature of the JWT does not verify (${verdict.code})`);
  return { payload, signer };
}

function parse(compact: string): ReturnType<typeof parseJws> {
  if (!compact.includes('.'))
    throw invalid('Malformed JWT: Could not find first period in the token');
  if (!compact.includes('.', compact.indexOf('.') + 1))
    throw invalid('Malformed JWT: Could not find second period in the token');
  try {
    return parseJws(compact);
  } catch (error) {
    if (!(error instanceof MalformedError)) throw error;
    throw invalid(`Malformed JWT: ${error.where}`);
  }
}

function signerOf(header: JsonObject, alg: 'RS256' | 'ES256'): DocumentSigner {
  const common = { alg, kty: KEY_TYPES[alg], use: 'sig' };
  const { x5c, jwk } = header;
  if (x5c !== undefined) {
    const [leaf, ...rest] = readChain(x5c);
    return {
      spki: spkiOfCertificate(leaf),
      jwk: { ...common, x5c: [leaf, ...rest] },
    };
  }
  if (jwk === undefined) throw invalid('a signed JWT has x5c or jwk in its header');
  try {
    const key = parseJwk(jwk);
    return { spki: spkiFromJwk(key), jwk: { ...common, ...publicMembers(key) } };
  } catch (error) {
    if (!(error instanceof MalformedError)) throw error;
    throw invalid('the jwk of the header is no public key');
  }
}

function publicMembers({ n, e, crv, x, y }: Jwk): JsonObject {
  const members = { n, e, crv, x, y };
  return Object.fromEntries(
    Object.entries(members).filter((entry): entry is [string, string] => entry[1] !== undefined),
  );
}

function readChain(x5c: JsonValue): [string, ...string[]] {
  const texts = Array.isArray(x5c) && x5c.length <= LONGEST_CHAIN ? x5c : [];
  const chain = texts.filter((one) => typeof one === 'string');
  const [leaf, ...rest] = chain;
  if (leaf === undefined || chain.length !== texts.length)
    throw invalid('the x5c of the header is a list of certificates');
  return [leaf, ...rest];
}

/** The key of a certificate in standard base64 of its DER. */
function spkiOfCertificate(base64: string): Bytes {
  return readCertificate(base64).spki;
}

/** A certificate in standard base64 of its DER, as `x5c` has it; AzureError where it is none. */
export function readCertificate(base64: string): ReturnType<typeof parseCertificate> {
  try {
    return parseCertificate(decodeBase64(base64, 'x5c'), 'x5c');
  } catch (error) {
    if (!(error instanceof MalformedError)) throw error;
    throw new AzureError(
      'InvalidParameter',
      'The certificate chain of the signer is invalid',
      'bad_certificate',
    );
  }
}

/** A certificate as `x-ms-policy-certificates` lists it. */
export function certificateJwk(der: Bytes): JsonObject {
  const { spki } = parseCertificate(der, 'policy certificate');
  const { kty } = jwkFromSpki(spki);
  const alg = kty === 'EC' ? 'ES256' : 'RS256';
  return { alg, kty, use: 'sig', x5c: [Buffer.from(der).toString('base64')] };
}

function invalid(message: string): AzureError {
  return new AzureError('InvalidOperation', message, 'bad_jws');
}
