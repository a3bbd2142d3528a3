import { asBytes, DER, DerReader, encodeHex, equalBytes, type Bytes } from '@cloister/bytes';
import { readSerial } from './certificate.ts';
import {
  EXTENSION,
  readAuthorityKeyIdentifier,
  readExtensions,
  type Extensions,
} from './extensions.ts';
import { readCommonName } from './name.ts';
import type { SignatureAlgorithm } from './signature-algorithm.ts';
import { readSignedStructure } from './signed-structure.ts';
import { readTime } from './time.ts';
import { verifySignature, type KeyCache } from './verify-key.ts';

/** A certificate revocation list as read: nothing in it is verified. Byte members are views of `der`. */
export interface Crl {
  readonly der: Bytes;
  /** What the signature covers. */
  readonly tbs: Bytes;
  /** The DER Name. */
  readonly issuer: Bytes;
  readonly issuerCommonName: string | undefined;
  readonly thisUpdate: Date;
  readonly nextUpdate: Date | undefined;
  /** Serial numbers in the form of `Certificate.serial`. They count for this issuer only. */
  readonly revoked: ReadonlySet<string>;
  /** Lower-case hex of the number's bytes, without a sign byte. */
  readonly crlNumber: string | undefined;
  /** The keyIdentifier of the AuthorityKeyIdentifier. */
  readonly authorityKeyIdentifier: Bytes | undefined;
  readonly extensions: Extensions;
  readonly signatureAlgorithm: SignatureAlgorithm;
  /** r ‖ s for ECDSA. */
  readonly signature: Bytes;
}

const MAX_CRL = 1_048_576;

/** They narrow what a list says; whoever does not follow them misreads it, critical or not. */
const CHANGES_MEANING: readonly string[] = [
  EXTENSION.DELTA_CRL_INDICATOR,
  EXTENSION.ISSUING_DISTRIBUTION_POINT,
  EXTENSION.CERTIFICATE_ISSUER,
];
const KNOWN_IN_LIST: readonly string[] = [EXTENSION.CRL_NUMBER, EXTENSION.AUTHORITY_KEY_IDENTIFIER];
const KNOWN_IN_ENTRY: readonly string[] = [EXTENSION.REASON_CODE, EXTENSION.INVALIDITY_DATE];

/**
 * Reads one DER CertificateList (RFC 5280, section 5.1): version 2, inner AlgorithmIdentifier
 * equal to the outer one. Throws MalformedError for all else, and for unknown critical extensions
 * of the list or of an entry, indirect and delta lists.
 */
export function parseCrl(der: Uint8Array, name = 'CRL'): Crl {
  const { contents: tbs, ...shell } = readSignedStructure(der, { name, maxLength: MAX_CRL });
  if (tbs.smallInteger() !== 1) tbs.fail();
  if (!equalBytes(tbs.expect(DER.SEQUENCE).raw, shell.algorithm)) tbs.fail();
  const issuer = tbs.expect(DER.SEQUENCE);
  const thisUpdate = readTime(tbs);
  const hasNext = tbs.peek() === DER.UTC_TIME || tbs.peek() === DER.GENERALIZED_TIME;
  const nextUpdate = hasNext ? readTime(tbs) : undefined;
  const entries = tbs.optional(DER.SEQUENCE);
  const revoked = entries === undefined ? new Set<string>() : readEntries(tbs.inside(entries));
  const wrapper = tbs.optional(0xa0);
  let extensions: Extensions = new Map();
  if (wrapper !== undefined) {
    const inside = tbs.inside(wrapper);
    extensions = readExtensions(inside.enter(DER.SEQUENCE));
    inside.end();
    refuseUnknown(extensions, KNOWN_IN_LIST, tbs);
  }
  tbs.end();

  return {
    der: shell.der,
    tbs: shell.signed,
    issuer: asBytes(issuer.raw),
    issuerCommonName: readCommonName(tbs.inside(issuer)),
    thisUpdate,
    nextUpdate,
    revoked,
    crlNumber: readCrlNumber(extensions, name),
    authorityKeyIdentifier: readAuthorityKeyIdentifier(extensions, name),
    extensions,
    signatureAlgorithm: shell.signatureAlgorithm,
    signature: shell.signature,
  };
}

/** Whether the list's signature verifies with this key. A key of another sort: false. */
export function verifyCrlSignature(
  crl: Crl,
  issuerSpki: Bytes,
  cache?: KeyCache,
): Promise<boolean> {
  return verifySignature(issuerSpki, crl.signatureAlgorithm, crl.signature, crl.tbs, cache);
}

function readEntries(list: DerReader): Set<string> {
  // RFC 5280, 5.1.2.6: the list is absent when nothing is revoked.
  if (list.done) list.fail();
  const revoked = new Set<string>();
  while (!list.done) {
    const entry = list.enter(DER.SEQUENCE);
    revoked.add(readSerial(entry));
    readTime(entry);
    if (entry.done) continue;
    refuseUnknown(readExtensions(entry.enter(DER.SEQUENCE)), KNOWN_IN_ENTRY, entry);
    entry.end();
  }
  return revoked;
}

function refuseUnknown(extensions: Extensions, known: readonly string[], reader: DerReader): void {
  for (const [oid, { critical }] of extensions) {
    if (CHANGES_MEANING.includes(oid) || (critical && !known.includes(oid))) reader.fail();
  }
}

function readCrlNumber(extensions: Extensions, name: string): string | undefined {
  const extension = extensions.get(EXTENSION.CRL_NUMBER);
  if (extension === undefined) return undefined;
  const reader = new DerReader(extension.value, `${name} cRLNumber`);
  const number = reader.integer();
  reader.end();
  // RFC 5280, 5.2.3: not negative, at most 20 octets.
  if ((number[0] ?? 0) >= 0x80 || number.length > 21) reader.fail();
  return encodeHex(number.length > 1 && number[0] === 0 ? number.subarray(1) : number);
}
