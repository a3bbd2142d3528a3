import {
  decodeUtf8,
  encodeHex,
  isJsonObject,
  MalformedError,
  parseJsonObject,
} from '@cloister/bytes';
import { FieldReader } from './field-reader.ts';
import type { Field, Inspection, Section } from './inspection.ts';
import { snpSections } from './snp-fields.ts';
import { readTdReportStructure } from './td-report-fields.ts';

const TYPES = new Map([
  [2, 'SEV-SNP'],
  [4, 'TDX'],
]);
const HASHES = new Map([
  [1, 'SHA-256'],
  [2, 'SHA-384'],
  [3, 'SHA-512'],
]);
const AREA_AT = 32;
const AREA_SIZE = 1184;
const TYPE_AT = 1224;

/** An HCL report of an Azure confidential VM (spec/evidence.md 10). */
export function inspectHclReport(bytes: Uint8Array): Inspection {
  const problems: string[] = [];
  const r = new FieldReader(bytes, 'HCL report');
  const type = bytes[TYPE_AT] ?? 0;
  try {
    readReport(r, type);
  } catch (error) {
    if (!(error instanceof MalformedError)) throw error;
    problems.push(error.message);
  }
  const kind = `Azure HCL report, ${TYPES.get(type) ?? 'unknown hardware'}`;
  return { kind, size: bytes.length, sections: r.sections, problems };
}

function readReport(r: FieldReader, type: number): void {
  r.section('header');
  r.bytes('signature', 4, (value) => String.fromCharCode(...value));
  r.u32('header version');
  r.u32('report size');
  r.u32('request type', (value) => (value === 2 ? 'hardware report' : 'not known'));
  r.u32('status');
  r.reserved(12);
  const area = r.take(AREA_SIZE);
  if (TYPES.get(type) === 'SEV-SNP') {
    r.include(prefixed(snpSections(area, AREA_AT), 'SNP report'));
  } else if (TYPES.get(type) === 'TDX') {
    const inner = new FieldReader(area, 'TDREPORT', AREA_AT);
    readTdReportStructure(inner);
    inner.reserved(inner.remaining);
    r.include(prefixed(inner.sections, 'TDREPORT'));
  }
  r.section('runtime data');
  r.u32('runtime data size');
  r.u32('runtime data version');
  r.u32('report type', (value) => TYPES.get(value) ?? 'not known');
  r.u32('hash type', (value) => HASHES.get(value) ?? 'not known');
  const size = r.u32('claims size');
  const claims = r.bytes('claims', size, () => 'JSON; its hash is the first part of REPORT_DATA');
  r.include([{ title: 'runtime claims', fields: claimFields(claims) }]);
  if (r.remaining > 0) {
    r.section('after the claims');
    r.reserved(r.remaining);
  }
}

function claimFields(bytes: Uint8Array): Field[] {
  const claims = parseJsonObject(decodeUtf8(bytes, 'runtime claims'), 'runtime claims');
  const keys = Array.isArray(claims['keys']) ? claims['keys'] : [];
  const configuration = claims['vm-configuration'];
  const userData = claims['user-data'];
  return [
    ...keys.flatMap((key): Field[] => {
      if (!isJsonObject(key)) return [];
      const { kid, kty, n } = key;
      const bits = typeof n === 'string' ? ` ${Math.floor((n.length * 6) / 8) * 8} bits` : '';
      return [{ name: `key ${text(kid)}`, value: `${text(kty)}${bits}`, ...keyMeaning(kid) }];
    }),
    ...Object.entries(isJsonObject(configuration) ? configuration : {}).map(([name, value]) => ({
      name,
      value: text(value),
    })),
    ...(typeof userData === 'string'
      ? [{ name: 'user-data', value: userData, meaning: 'what the guest wrote' }]
      : []),
  ];
}

function keyMeaning(kid: unknown): { readonly meaning?: string } {
  if (kid === 'HCLAkPub') return { meaning: "the vTPM's attestation key: signs its quotes" };
  return kid === 'HCLEkPub' ? { meaning: "the vTPM's endorsement key" } : {};
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : (JSON.stringify(value) ?? '');
}

function prefixed(sections: readonly Section[], prefix: string): Section[] {
  return sections.map(({ title, fields }) => ({ title: `${prefix}: ${title}`, fields }));
}

/** The fields of a vTPM's quote that stands beside an HCL report. */
export function tpmQuoteSection(message: Uint8Array, pcrs: readonly Uint8Array[]): Section {
  return {
    title: 'vTPM quote',
    fields: [
      {
        name: 'message',
        value: `${encodeHex(message.subarray(0, 16))}… (${message.length} bytes)`,
      },
      ...pcrs.map((pcr, i) => ({ name: `PCR ${i}`, value: encodeHex(pcr) })),
    ],
  };
}
