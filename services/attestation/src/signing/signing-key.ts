import { concatBytes, encodeBase64, encodePem, encodeUtf8, type Bytes } from '@cloister/bytes';
import {
  authorityKeyIdentifierExtension,
  createCertificate,
  EXTENSION,
  encodeName,
  jwkFromSpki,
  jwkThumbprint,
  keyIdentifier,
  sha256,
  subjectKeyIdentifierExtension,
  type Jwk,
} from '@cloister/crypto';

/** The key with which tokens are signed. Its private part never leaves the process unsealed. */
export interface SigningKey {
  readonly privateKey: CryptoKey;
  /** SubjectPublicKeyInfo. */
  readonly spki: Bytes;
  /** Base64 of SHA-256 over the PEM and a NUL: also the report data of the service's own quote. */
  readonly kid: string;
  readonly jwk: Jwk;
  /** RFC 7638: what trust manifests pin. */
  readonly thumbprint: string;
}

const RSA = { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' } as const;
const TEN_YEARS = 10 * 365 * 86_400_000;

/** A new key and its PKCS #8 form, which goes to the sealed secrets and nowhere else. */
export async function generateSigningKey(): Promise<{ key: SigningKey; pkcs8: Bytes }> {
  const parameters = { ...RSA, modulusLength: 2048, publicExponent: Uint8Array.of(1, 0, 1) };
  const pair = await crypto.subtle.generateKey(parameters, true, ['sign', 'verify']);
  const pkcs8 = new Uint8Array(await crypto.subtle.exportKey('pkcs8', pair.privateKey));
  return { key: await importSigningKey(pkcs8), pkcs8 };
}

/** The key of a PKCS #8 form; in the process it cannot be exported again. */
export async function importSigningKey(pkcs8: Bytes): Promise<SigningKey> {
  const privateKey = await crypto.subtle.importKey('pkcs8', pkcs8, RSA, false, ['sign']);
  const spki = await publicPartOf(pkcs8);
  const jwk = jwkFromSpki(spki);
  return {
    privateKey,
    spki,
    kid: await kidOf(spki),
    jwk,
    thumbprint: await jwkThumbprint(jwk),
  };
}

/** `kid` of an enclave's key (spec/azure-attestation.md 3.1). */
export async function kidOf(spki: Bytes): Promise<string> {
  const pem = encodeUtf8(encodePem('PUBLIC KEY', spki));
  return encodeBase64(await sha256(concatBytes(pem, Uint8Array.of(0))));
}

/**
 * The self-signed certificate of the key (spec/azure-attestation.md 6): common name = base URL.
 * The extension with the service's own quote is left out: there is a quote only on a host with a
 * TEE, and a simulated one would be labelled as real.
 */
export async function certify(key: SigningKey, baseUrl: string, at: Date): Promise<Bytes> {
  const name = encodeName({ commonName: baseUrl });
  const identifier = await keyIdentifier(key.spki);
  return createCertificate({
    subject: name,
    issuer: name,
    serial: '01',
    // Clocks of clients may be behind; none of them checks more than this says.
    notBefore: new Date(Math.floor(at.getTime() / 1000) * 1000 - 3_600_000),
    notAfter: new Date(Math.floor(at.getTime() / 1000) * 1000 + TEN_YEARS),
    publicKey: key.spki,
    signer: key.privateKey,
    extensions: [
      // An empty SEQUENCE: no CA.
      { oid: EXTENSION.BASIC_CONSTRAINTS, value: Uint8Array.of(0x30, 0) },
      subjectKeyIdentifierExtension(identifier),
      authorityKeyIdentifierExtension(identifier),
    ],
  });
}

async function publicPartOf(pkcs8: Bytes): Promise<Bytes> {
  const open = await crypto.subtle.importKey('pkcs8', pkcs8, RSA, true, ['sign']);
  const { kty = '', n = '', e = '' } = await crypto.subtle.exportKey('jwk', open);
  const jwk = { kty, n, e };
  const publicKey = await crypto.subtle.importKey('jwk', jwk, RSA, true, ['verify']);
  return new Uint8Array(await crypto.subtle.exportKey('spki', publicKey));
}
