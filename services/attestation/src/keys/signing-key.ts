import { createPrivateKey, sign, type KeyObject } from 'node:crypto';
import { asBytes, encodeBase64, encodePem, encodeUtf8, type Bytes } from '@cloister/bytes';
import { ecdsaDerToRaw, jwkFromSpki, jwkThumbprint, sha256, type Jwk } from '@cloister/crypto';

/** With what tokens are signed: RS256 as Azure Attestation does, or ES256, which costs less. */
export type TokenAlgorithm = 'RS256' | 'ES256';

/** The key with which tokens are signed. Its private part never leaves the process unsealed. */
export interface SigningKey {
  readonly alg: TokenAlgorithm;
  /** For certificates. */
  readonly privateKey: CryptoKey;
  /** Signs a JWS signing input; base64url. Synchronous: it costs less than a change of threads. */
  sign(input: string): string;
  /** SubjectPublicKeyInfo. */
  readonly spki: Bytes;
  /** Base64 of SHA-256 over the PEM and a NUL: also the report data of the service's own quote. */
  readonly kid: string;
  readonly jwk: Jwk;
  /** RFC 7638: what trust manifests pin. */
  readonly thumbprint: string;
}

const PARAMETERS = {
  RS256: { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' },
  ES256: { name: 'ECDSA', namedCurve: 'P-256' },
} as const;

/** A new key in PKCS #8 form, which goes to the sealed secrets and nowhere else. */
export async function generateSigningKey(alg: TokenAlgorithm): Promise<Bytes> {
  const pair =
    alg === 'RS256'
      ? await crypto.subtle.generateKey(
          { ...PARAMETERS.RS256, modulusLength: 2048, publicExponent: Uint8Array.of(1, 0, 1) },
          true,
          ['sign', 'verify'],
        )
      : await crypto.subtle.generateKey(PARAMETERS.ES256, true, ['sign', 'verify']);
  return new Uint8Array(await crypto.subtle.exportKey('pkcs8', pair.privateKey));
}

/** The key of a PKCS #8 form. */
export async function importSigningKey(alg: TokenAlgorithm, pkcs8: Bytes): Promise<SigningKey> {
  const parameters = PARAMETERS[alg];
  const privateKey = await crypto.subtle.importKey('pkcs8', pkcs8, parameters, false, ['sign']);
  const key = createPrivateKey({ key: Buffer.from(pkcs8), format: 'der', type: 'pkcs8' });
  const spki = await publicPartOf(pkcs8, parameters);
  const jwk = jwkFromSpki(spki);
  return {
    alg,
    privateKey,
    sign: (input) => signWith(key, alg, input),
    spki,
    kid: await kidOf(spki),
    jwk,
    thumbprint: await jwkThumbprint(jwk),
  };
}

/** `kid` of an enclave's key (spec/azure-attestation.md 3.1). */
export async function kidOf(spki: Bytes): Promise<string> {
  return encodeBase64(await sha256(encodeUtf8(`${encodePem('PUBLIC KEY', spki)}\0`)));
}

function signWith(key: KeyObject, alg: TokenAlgorithm, input: string): string {
  const signature = sign('sha256', Buffer.from(input, 'latin1'), key);
  if (alg === 'RS256') return signature.toString('base64url');
  // node:crypto gives r ‖ s too, but its conversion costs as much again as the signature.
  return Buffer.from(ecdsaDerToRaw(signature, 32)).toString('base64url');
}

async function publicPartOf(
  pkcs8: Bytes,
  parameters: (typeof PARAMETERS)[TokenAlgorithm],
): Promise<Bytes> {
  const open = await crypto.subtle.importKey('pkcs8', pkcs8, parameters, true, ['sign']);
  const { kty = '', n, e, crv, x, y } = await crypto.subtle.exportKey('jwk', open);
  const jwk = kty === 'EC' ? { kty, crv, x, y } : { kty, n, e };
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- of one kind or the other
  const publicJwk = jwk as JsonWebKey;
  const key = await crypto.subtle.importKey('jwk', publicJwk, parameters, true, ['verify']);
  return asBytes(new Uint8Array(await crypto.subtle.exportKey('spki', key)));
}
