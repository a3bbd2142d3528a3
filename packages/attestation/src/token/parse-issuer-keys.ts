import { decodeBase64, MalformedError, type JsonValue } from '@cloister/bytes';
import { jwkFromSpki, parseCertificate, type Jwk } from '@cloister/crypto';
import { Shape } from '../shape.ts';

const MAX_KEYS = 64;
const TEXT = /^[\w.+/=-]{1,4096}$/u;

/**
 * The public keys of an issuer's JWKS, as Azure Attestation publishes it at `/certs`: a key that
 * has only a certificate (`x5c`) is taken out of it. They count by their thumbprints in the
 * manifest alone; certificates are not verified. Keys of other kinds are left out.
 */
export function parseIssuerKeys(jwks: JsonValue): readonly Jwk[] {
  const keys = new Shape(jwks, 'JWKS').object()['keys'] ?? null;
  return new Shape(keys, 'JWKS', '/keys').items({ max: MAX_KEYS }).flatMap((item) => {
    const key = parseIssuerKey(item);
    return key === undefined ? [] : [key];
  });
}

function parseIssuerKey(item: Shape): Jwk | undefined {
  const members = item.object();
  const text = (name: string): string | undefined => {
    const value = members[name];
    return value === undefined ? undefined : new Shape(value, 'JWKS', `/keys/${name}`).string(TEXT);
  };
  const kty = text('kty');
  const kid = text('kid');
  const use = text('use');
  const rest = { ...(kid === undefined ? {} : { kid }), ...(use === undefined ? {} : { use }) };
  const [n, e, crv, x, y] = [text('n'), text('e'), text('crv'), text('x'), text('y')];
  if (kty === 'RSA' && n !== undefined && e !== undefined) return { kty, n, e, ...rest };
  if (kty === 'EC' && crv !== undefined && x !== undefined && y !== undefined)
    return { kty, crv, x, y, ...rest };
  const chain = members['x5c'];
  if (!Array.isArray(chain) || typeof chain[0] !== 'string') return undefined;
  try {
    const key = jwkFromSpki(parseCertificate(decodeBase64(chain[0])).spki);
    return key.kty === kty ? { ...key, ...rest } : undefined;
  } catch (error) {
    if (error instanceof MalformedError) return undefined;
    throw error;
  }
}
