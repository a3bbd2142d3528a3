import { asBytes, DER, DerReader, MalformedError, type Bytes } from '@cloister/bytes';

/** One extension: the DER (or, for AMD's hwID, raw) contents of its OCTET STRING. */
export interface Extension {
  readonly critical: boolean;
  readonly value: Bytes;
}

/** Extensions by OID in dotted form. */
export type Extensions = ReadonlyMap<string, Extension>;

/** OIDs of the extensions that path validation and CRLs know (RFC 5280, 4.2 and 5.2). */
export const EXTENSION = {
  SUBJECT_KEY_IDENTIFIER: '2.5.29.14',
  KEY_USAGE: '2.5.29.15',
  SUBJECT_ALTERNATIVE_NAME: '2.5.29.17',
  BASIC_CONSTRAINTS: '2.5.29.19',
  CRL_NUMBER: '2.5.29.20',
  REASON_CODE: '2.5.29.21',
  INVALIDITY_DATE: '2.5.29.24',
  DELTA_CRL_INDICATOR: '2.5.29.27',
  ISSUING_DISTRIBUTION_POINT: '2.5.29.28',
  CERTIFICATE_ISSUER: '2.5.29.29',
  CRL_DISTRIBUTION_POINTS: '2.5.29.31',
  AUTHORITY_KEY_IDENTIFIER: '2.5.29.35',
  EXTENDED_KEY_USAGE: '2.5.29.37',
} as const;

/** What a certified key may be used for, in the order of its bits (RFC 5280, 4.2.1.3). */
export const KEY_USAGES = [
  'digitalSignature',
  'nonRepudiation',
  'keyEncipherment',
  'dataEncipherment',
  'keyAgreement',
  'keyCertSign',
  'cRLSign',
  'encipherOnly',
  'decipherOnly',
] as const;
/** One use of a certified key. */
export type KeyUsage = (typeof KEY_USAGES)[number];

/** BasicConstraints (RFC 5280, 4.2.1.9). */
export interface BasicConstraints {
  readonly ca: boolean;
  readonly pathLength?: number;
}

/** Reads the contents of an Extensions SEQUENCE (RFC 5280, 4.1): not empty, each OID once. */
export function readExtensions(list: DerReader): Extensions {
  const extensions = new Map<string, Extension>();
  if (list.done) list.fail();
  while (!list.done) {
    const extension = list.enter(DER.SEQUENCE);
    const oid = extension.oid();
    const critical = extension.peek() === DER.BOOLEAN;
    // X.690, 11.5: the default, FALSE, is left out.
    if (critical && !extension.boolean()) extension.fail();
    const { value } = extension.expect(DER.OCTET_STRING);
    extension.end();
    if (extensions.has(oid)) list.fail();
    extensions.set(oid, { critical, value: asBytes(value) });
  }
  return extensions;
}

/** The BasicConstraints among the extensions, if there. A path length needs a CA. */
export function readBasicConstraints(
  extensions: Extensions,
  name: string,
): BasicConstraints | undefined {
  const reader = open(extensions, EXTENSION.BASIC_CONSTRAINTS, `${name} basicConstraints`);
  if (reader === undefined) return undefined;
  const body = reader.enter(DER.SEQUENCE);
  reader.end();
  const ca = body.peek() === DER.BOOLEAN;
  if (ca && !body.boolean()) body.fail();
  if (body.done) return { ca };
  const pathLength = body.smallInteger();
  body.end();
  if (!ca) body.fail();
  return { ca, pathLength };
}

/** The KeyUsage among the extensions, if there: a named bit list with at least one bit (4.2.1.3). */
export function readKeyUsage(
  extensions: Extensions,
  name: string,
): ReadonlySet<KeyUsage> | undefined {
  const reader = open(extensions, EXTENSION.KEY_USAGE, `${name} keyUsage`);
  if (reader === undefined) return undefined;
  const { value } = reader.expect(DER.BIT_STRING);
  reader.end();
  const [unused, ...bytes] = value;
  const last = bytes.at(-1);
  if (unused === undefined || last === undefined || bytes.length > 2) return reader.fail();
  // Unused bits are zero. Trailing zero bits before them should be dropped too (X.690, 11.2.2),
  // but AMD's and Azure's certificates keep one, so the meaning of the bits decides.
  if (unused > 7 || (last & ((1 << unused) - 1)) !== 0) reader.fail();
  if (bytes.every((byte) => byte === 0)) reader.fail();
  return new Set(
    KEY_USAGES.filter((_, bit) => ((bytes[bit >> 3] ?? 0) & (0x80 >> (bit & 7))) !== 0),
  );
}

/** The SubjectKeyIdentifier among the extensions, if there (RFC 5280, 4.2.1.2). */
export function readSubjectKeyIdentifier(extensions: Extensions, name: string): Bytes | undefined {
  const oid = EXTENSION.SUBJECT_KEY_IDENTIFIER;
  const reader = open(extensions, oid, `${name} subjectKeyIdentifier`);
  const value = reader?.expect(DER.OCTET_STRING).value;
  reader?.end();
  return value && asBytes(value);
}

/** The keyIdentifier of the AuthorityKeyIdentifier, if there (RFC 5280, 4.2.1.1). */
export function readAuthorityKeyIdentifier(
  extensions: Extensions,
  name: string,
): Bytes | undefined {
  const oid = EXTENSION.AUTHORITY_KEY_IDENTIFIER;
  const reader = open(extensions, oid, `${name} authorityKeyIdentifier`);
  if (reader === undefined) return undefined;
  const body = reader.enter(DER.SEQUENCE);
  reader.end();
  const keyIdentifier = body.optional(0x80)?.value;
  const issuer = body.optional(0xa1);
  const serial = body.optional(0x82);
  // RFC 5280, 4.2.1.1: issuer and serial are both there or both absent.
  if ((issuer === undefined) !== (serial === undefined)) body.fail();
  body.end();
  return keyIdentifier && asBytes(keyIdentifier);
}

/** A cursor over one extension's value, or undefined where the extension is absent. */
function open(extensions: Extensions, oid: string, name: string): DerReader | undefined {
  const extension = extensions.get(oid);
  if (extension === undefined) return undefined;
  if (extension.value.length === 0) throw new MalformedError('truncated', name);
  return new DerReader(extension.value, name);
}
