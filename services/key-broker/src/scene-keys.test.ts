import { randomBytes } from 'node:crypto';
import type { Bytes } from '@cloister/bytes';
import type { Jwk } from '@cloister/crypto';

export const random = (length: number): Bytes => new Uint8Array(randomBytes(length));

export function p256(): Promise<CryptoKeyPair> {
  return crypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, true, [
    'sign',
    'verify',
  ]);
}

export function rsa(): Promise<CryptoKeyPair> {
  const algorithm = {
    name: 'RSA-OAEP',
    hash: 'SHA-256',
    modulusLength: 2048,
    publicExponent: Uint8Array.of(1, 0, 1),
  };
  return crypto.subtle.generateKey(algorithm, true, ['encrypt', 'decrypt']);
}

export async function publicJwk({ publicKey }: CryptoKeyPair): Promise<Jwk> {
  const { kty, crv, x, y, n, e } = await crypto.subtle.exportKey('jwk', publicKey);
  return (kty === 'RSA' ? { kty, n, e } : { kty, crv, x, y }) as Jwk;
}
