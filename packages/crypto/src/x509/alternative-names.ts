import { decodeUtf8, DER, DerReader, encodeDer, encodeUtf8, MalformedError } from '@cloister/bytes';
import type { ExtensionInput } from './encode-extensions.ts';
import { EXTENSION, type Extensions } from './extensions.ts';

/** Names of a certificate's holder (RFC 5280, 4.2.1.6), those of the kinds that are used here. */
export interface AlternativeNames {
  readonly uris: readonly string[];
  readonly dnsNames: readonly string[];
}

const DNS_NAME = 0x82;
const URI = 0x86;

/** A SubjectAlternativeName extension; at least one name (RFC 5280, 4.2.1.6). */
export function alternativeNamesExtension({ uris, dnsNames }: AlternativeNames): ExtensionInput {
  if (uris.length + dnsNames.length === 0) throw new RangeError('no name');
  const value = encodeDer(
    DER.SEQUENCE,
    ...uris.map((uri) => encodeDer(URI, encodeUtf8(uri))),
    ...dnsNames.map((name) => encodeDer(DNS_NAME, encodeUtf8(name))),
  );
  return { oid: EXTENSION.SUBJECT_ALTERNATIVE_NAME, value };
}

/**
 * The SubjectAlternativeName among the extensions; no names where it is absent. Names of other
 * kinds are passed over. MalformedError where it is empty or a name is no printable ASCII.
 */
export function readAlternativeNames(
  extensions: Extensions,
  name = 'subjectAltName',
): AlternativeNames {
  const extension = extensions.get(EXTENSION.SUBJECT_ALTERNATIVE_NAME);
  const uris: string[] = [];
  const dnsNames: string[] = [];
  if (extension === undefined) return { uris, dnsNames };
  const reader = new DerReader(extension.value, name);
  const names = reader.enter(DER.SEQUENCE);
  reader.end();
  if (names.done) names.fail();
  while (!names.done) {
    const { tag, value } = names.next();
    if (tag !== URI && tag !== DNS_NAME) continue;
    // IA5String; a NUL in a name has ended names early in others' code.
    if (value.length === 0 || !value.every((byte) => byte > 0x20 && byte < 0x7f))
      throw new MalformedError('bad_value', name);
    (tag === URI ? uris : dnsNames).push(decodeUtf8(value, name));
  }
  return { uris, dnsNames };
}
