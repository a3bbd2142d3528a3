import { asBytes, encodeHex, MalformedError, Reader, type Bytes } from '@cloister/bytes';

/** The certificates that a host puts beside a report in an extended guest request. */
export interface SnpCertificateTable {
  /** VCEK or VLEK, DER. */
  readonly vcek?: Bytes;
  readonly vlek?: Bytes;
  /** ASK or ASVK, DER. */
  readonly ask?: Bytes;
  readonly ark?: Bytes;
}

const NAME = 'SNP certificate table';
const ENTRY_SIZE = 24;
const MAX_SIZE = 64 * 1024;
/** As they are written: some hosts emit them so, others with the first three fields swapped. */
const GUIDS: readonly (readonly [keyof SnpCertificateTable, string])[] = [
  ['vcek', '63da758de6644564adc5f4b93be8accd'],
  ['vlek', 'a8074bc2a25a483eaae639c045a0b8a1'],
  ['ask', '4ab7b379bbac4fe4a02f05aef327c782'],
  ['ark', 'c0b406a4a803495297433fb6014cd0ae'],
];
const NAMES = new Map(
  GUIDS.flatMap(([name, guid]) => [[guid, name] as const, [swapGuid(guid), name] as const]),
);

/**
 * Reads the table of an extended report (spec/evidence.md 9.7): entries of GUID, offset and length
 * up to one of zeros, then their contents. Unknown entries are passed over. MalformedError where
 * an entry points outside the table or one kind is there twice. Nothing in it is verified.
 */
export function parseSnpCertificateTable(bytes: Uint8Array): SnpCertificateTable {
  if (bytes.length > MAX_SIZE) throw new MalformedError('too_large', NAME);
  const r = new Reader(bytes, NAME);
  const table: { -readonly [Name in keyof SnpCertificateTable]: Bytes } = {};
  for (;;) {
    const guid = encodeHex(r.bytes(16));
    const [offset, length] = [r.u32le(), r.u32le()];
    if (/^0+$/.test(guid) && offset === 0 && length === 0) break;
    if (offset + length > bytes.length || offset < ENTRY_SIZE) r.fail('truncated');
    const name = NAMES.get(guid);
    if (name === undefined) continue;
    if (table[name] !== undefined) r.fail('bad_value');
    table[name] = asBytes(bytes.slice(offset, offset + length));
  }
  return table;
}

/** The other byte order of a GUID: its first three fields reversed. */
function swapGuid(guid: string): string {
  const field = (start: number, end: number) =>
    (guid.slice(start, end).match(/../g) ?? []).toReversed().join('');
  return `${field(0, 8)}${field(8, 12)}${field(12, 16)}${guid.slice(16)}`;
}
