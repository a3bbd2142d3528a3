import { encodeHex, encodePem, type Bytes } from '@cloister/bytes';
import {
  basicConstraintsExtension,
  createCertificate,
  dnsNamesExtension,
  encodeName,
  keyUsageExtension,
  sha256,
} from '@cloister/crypto';

/** A service's TLS key with a certificate by itself, as options of `node:tls` take them. */
export interface TlsKey {
  /** PEM. The certificate proves nothing: the digest of its key in the evidence does. */
  readonly cert: string;
  /** PEM, PKCS #8: TLS needs the key itself. It never leaves the process. */
  readonly key: string;
  /** SHA-256 of the SubjectPublicKeyInfo, lower hex: `tls` of the runtime data (design 2.2). */
  readonly spkiSha256: string;
}

/** For whom a key is made. */
export interface TlsKeyOptions {
  readonly service: string;
  readonly now: () => Date;
  readonly random: (length: number) => Bytes;
}

/** The name in the certificate of a service: what clients that look at names are to expect. */
export function tlsName(service: string): string {
  return `${service}.cloister.internal`;
}

const DAY_MS = 86_400_000;

/**
 * Makes a P-256 key for TLS and signs a certificate for it with itself. Peers compare the key
 * with attested runtime data; name and dates are there for clients that look at them.
 */
export async function createTlsKey({ service, now, random }: TlsKeyOptions): Promise<TlsKey> {
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256' };
  const pair = await crypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const spki = new Uint8Array(await crypto.subtle.exportKey('spki', pair.publicKey));
  const pkcs8 = new Uint8Array(await crypto.subtle.exportKey('pkcs8', pair.privateKey));
  const name = encodeName({ commonName: `cloister ${service}` });
  const serial = random(16);
  serial[0] = ((serial[0] ?? 0) & 0x7f) | 0x40;
  const der = await createCertificate({
    subject: name,
    issuer: name,
    serial,
    // A peer's clock may be a little behind.
    notBefore: new Date(now().getTime() - DAY_MS),
    notAfter: new Date(now().getTime() + 3650 * DAY_MS),
    publicKey: spki,
    signer: pair.privateKey,
    extensions: [
      basicConstraintsExtension({ ca: false }),
      keyUsageExtension('digitalSignature'),
      dnsNamesExtension(tlsName(service)),
    ],
  });
  return {
    cert: encodePem('CERTIFICATE', der),
    key: encodePem('PRIVATE KEY', pkcs8),
    spkiSha256: encodeHex(await sha256(spki)),
  };
}
