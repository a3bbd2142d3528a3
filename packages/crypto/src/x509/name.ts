import {
  DER,
  DerReader,
  encodeDer,
  encodeDerOid,
  encodeUtf8,
  decodeUtf8,
  type Bytes,
} from '@cloister/bytes';

const COMMON_NAME = '2.5.4.3';
const ATTRIBUTES = [
  ['commonName', '2.5.4.3'],
  ['organizationName', '2.5.4.10'],
  ['organizationalUnitName', '2.5.4.11'],
  ['localityName', '2.5.4.7'],
  ['stateOrProvinceName', '2.5.4.8'],
  ['countryName', '2.5.4.6'],
] as const;

/** The attributes that our own names may have. */
export type NameAttribute = (typeof ATTRIBUTES)[number][0];

/**
 * Reads the contents of a Name (RFC 5280, 4.1.2.4) and gives its common name: undefined where
 * there is none, more than one (which of them would count?), or one in an encoding other than
 * UTF8String, PrintableString and IA5String.
 */
export function readCommonName(name: DerReader): string | undefined {
  let commonName: string | undefined;
  let count = 0;
  while (!name.done) {
    const attributes = name.enter(DER.SET);
    if (attributes.done) attributes.fail();
    while (!attributes.done) {
      const attribute = attributes.enter(DER.SEQUENCE);
      const isCommonName = attribute.oid() === COMMON_NAME;
      const value = attribute.next();
      attribute.end();
      if (!isCommonName) continue;
      count += 1;
      commonName = decodeText(value.tag, value.value);
    }
  }
  return count === 1 ? commonName : undefined;
}

function decodeText(tag: number, value: Uint8Array): string | undefined {
  if (tag === DER.UTF8_STRING) return decodeUtf8(value, 'common name');
  if (tag !== DER.PRINTABLE_STRING && tag !== DER.IA5_STRING) return undefined;
  return value.every((byte) => byte < 0x80) ? decodeUtf8(value, 'common name') : undefined;
}

/**
 * A DER Name with these attributes, one to a set, from the common name to the country: the country
 * as PrintableString, the others as UTF8String (RFC 5280, 4.1.2.4).
 */
export function encodeName(attributes: Readonly<Partial<Record<NameAttribute, string>>>): Bytes {
  const sets = ATTRIBUTES.flatMap(([attribute, oid]) => {
    const text = attributes[attribute];
    if (text === undefined) return [];
    const tag = attribute === 'countryName' ? DER.PRINTABLE_STRING : DER.UTF8_STRING;
    const value = encodeDer(tag, encodeUtf8(text));
    return [encodeDer(DER.SET, encodeDer(DER.SEQUENCE, encodeDerOid(oid), value))];
  });
  return encodeDer(DER.SEQUENCE, ...sets);
}
