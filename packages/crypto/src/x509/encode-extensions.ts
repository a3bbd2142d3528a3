import {
  DER,
  encodeDer,
  encodeDerInteger,
  encodeDerOid,
  encodeUtf8,
  type Bytes,
} from '@cloister/bytes';
import { sha256 } from '../digest.ts';
import { EXTENSION, KEY_USAGES, type BasicConstraints, type KeyUsage } from './extensions.ts';

/** An extension to put into a certificate or CRL. */
export interface ExtensionInput {
  readonly oid: string;
  /** False unless told. */
  readonly critical?: boolean;
  /** The contents of the OCTET STRING. */
  readonly value: Bytes;
}

/** The Extensions SEQUENCE of these extensions, in their order. */
export function encodeExtensions(extensions: readonly ExtensionInput[]): Bytes {
  return encodeDer(
    DER.SEQUENCE,
    ...extensions.map(({ oid, critical = false, value }) =>
      encodeDer(
        DER.SEQUENCE,
        encodeDerOid(oid),
        ...(critical ? [encodeDer(DER.BOOLEAN, Uint8Array.of(0xff))] : []),
        encodeDer(DER.OCTET_STRING, value),
      ),
    ),
  );
}

/** A critical BasicConstraints extension (RFC 5280, 4.2.1.9). */
export function basicConstraintsExtension(constraints: BasicConstraints): ExtensionInput {
  const { ca, pathLength } = constraints;
  const parts = ca ? [encodeDer(DER.BOOLEAN, Uint8Array.of(0xff))] : [];
  if (pathLength !== undefined) parts.push(encodeDerInteger(Uint8Array.of(pathLength)));
  const value = encodeDer(DER.SEQUENCE, ...parts);
  return { oid: EXTENSION.BASIC_CONSTRAINTS, critical: true, value };
}

/** A critical KeyUsage extension (RFC 5280, 4.2.1.3); at least one use. */
export function keyUsageExtension(...usages: readonly [KeyUsage, ...KeyUsage[]]): ExtensionInput {
  const bits = new Uint8Array(2);
  let last = 0;
  for (const [bit, usage] of KEY_USAGES.entries()) {
    if (!usages.includes(usage)) continue;
    bits[bit >> 3] = (bits[bit >> 3] ?? 0) | (0x80 >> (bit & 7));
    last = bit;
  }
  const value = encodeDer(
    DER.BIT_STRING,
    Uint8Array.of(7 - (last & 7)),
    bits.subarray(0, (last >> 3) + 1),
  );
  return { oid: EXTENSION.KEY_USAGE, critical: true, value };
}

/** The key identifier of a key: the first 20 bytes of SHA-256 of its SPKI (RFC 7093, section 2, method 4). */
export async function keyIdentifier(spki: Bytes): Promise<Bytes> {
  return (await sha256(spki)).slice(0, 20);
}

/** A SubjectKeyIdentifier extension (RFC 5280, 4.2.1.2). */
export function subjectKeyIdentifierExtension(identifier: Bytes): ExtensionInput {
  const value = encodeDer(DER.OCTET_STRING, identifier);
  return { oid: EXTENSION.SUBJECT_KEY_IDENTIFIER, value };
}

/** An AuthorityKeyIdentifier extension with a keyIdentifier only (RFC 5280, 4.2.1.1). */
export function authorityKeyIdentifierExtension(identifier: Bytes): ExtensionInput {
  const value = encodeDer(DER.SEQUENCE, encodeDer(0x80, identifier));
  return { oid: EXTENSION.AUTHORITY_KEY_IDENTIFIER, value };
}

/** A CRLDistributionPoints extension with one URL (RFC 5280, 4.2.1.13). */
export function crlDistributionPointsExtension(url: string): ExtensionInput {
  const name = encodeDer(0xa0, encodeDer(0xa0, encodeDer(0x86, encodeUtf8(url))));
  const value = encodeDer(DER.SEQUENCE, encodeDer(DER.SEQUENCE, name));
  return { oid: EXTENSION.CRL_DISTRIBUTION_POINTS, value };
}

/** A SubjectAlternativeName extension with DNS names (RFC 5280, 4.2.1.6). */
export function dnsNamesExtension(...names: readonly [string, ...string[]]): ExtensionInput {
  const value = encodeDer(DER.SEQUENCE, ...names.map((name) => encodeDer(0x82, encodeUtf8(name))));
  return { oid: EXTENSION.SUBJECT_ALTERNATIVE_NAME, value };
}

const KEY_PURPOSES = {
  serverAuth: '1.3.6.1.5.5.7.3.1',
  clientAuth: '1.3.6.1.5.5.7.3.2',
} as const;
/** One purpose of a certified key. */
export type KeyPurpose = keyof typeof KEY_PURPOSES;

/** An ExtendedKeyUsage extension (RFC 5280, 4.2.1.12); at least one purpose. */
export function extendedKeyUsageExtension(
  ...purposes: readonly [KeyPurpose, ...KeyPurpose[]]
): ExtensionInput {
  const oids = purposes.map((purpose) => encodeDerOid(KEY_PURPOSES[purpose]));
  return { oid: EXTENSION.EXTENDED_KEY_USAGE, value: encodeDer(DER.SEQUENCE, ...oids) };
}
