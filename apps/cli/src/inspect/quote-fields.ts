import { decodeUtf8, encodeHex, MalformedError } from '@cloister/bytes';
import { parseCertificate } from '@cloister/crypto';
import { attemptSections, certificateSection, certificateSections } from './certificate-fields.ts';
import { readEnclaveReport } from './enclave-report-fields.ts';
import { FieldReader } from './field-reader.ts';
import type { Inspection } from './inspection.ts';
import { readTdReport } from './td-report-fields.ts';

const INTEL_QE_VENDOR = '939a7233f79c4ca9940a0db3957f0607';
const KEY_TYPES = new Map([
  [2, 'ECDSA-256 with P-256'],
  [3, 'ECDSA-384 with P-384: defined, accepted nowhere'],
]);
const TEES = new Map([
  [0x00, 'SGX'],
  [0x81, 'TDX'],
]);
const BODIES = new Map([
  [1, 'SGX enclave report'],
  [2, 'TD report, TDX 1.0'],
  [3, 'TD report, TDX 1.5'],
  [4, 'TD report, TDX 1.5 extended'],
]);
const CERTIFICATION = new Map([
  [1, 'PPID in the clear'],
  [2, 'PPID, encrypted with RSA-2048'],
  [3, 'PPID, encrypted with RSA-3072'],
  [4, 'PCK certificate'],
  [5, 'PCK certificate chain'],
  [6, 'QE report and certification data'],
  [7, 'platform manifest'],
]);
const PEM = 0x2d; // a dash

/** An SGX or TDX quote, version 3 to 5 (spec/evidence.md 1); `base` bytes stand before it. */
export function inspectQuote(bytes: Uint8Array, base = 0): Inspection {
  const problems: string[] = [];
  const r = new FieldReader(bytes, 'quote', base);
  let kind = 'Intel quote';
  try {
    const { version, bodyType } = readHeader(r);
    kind = `${bodyType === 1 ? 'SGX' : 'TDX'} quote, version ${version}`;
    readBody(r, bodyType);
    readSignatureData(r, version, problems);
    if (r.remaining > 0) {
      r.section('after the quote');
      r.bytes('trailing bytes', r.remaining, () => 'no signature covers them');
    }
  } catch (error) {
    if (!(error instanceof MalformedError)) throw error;
    problems.push(error.message);
  }
  return { kind, size: bytes.length + base, sections: r.sections, problems };
}

function readHeader(r: FieldReader): { readonly version: number; readonly bodyType: number } {
  r.section('header');
  const version = r.u16('version', (value) => (value < 3 || value > 5 ? 'not known' : undefined));
  r.u16('attestation key type', (value) => KEY_TYPES.get(value) ?? 'not known');
  const tee = r.u32('TEE type', (value) => TEES.get(value) ?? 'not known');
  if (version === 3) {
    r.u16('QE SVN', () => 'of no use: the QE report counts');
    r.u16('PCE SVN', () => 'of no use: the PCK certificate counts');
  } else r.reserved(4);
  r.bytes('QE vendor id', 16, (value) =>
    encodeHex(value) === INTEL_QE_VENDOR ? 'Intel' : 'not Intel',
  );
  r.bytes('user data', 20, () => (version === 3 ? 'first 16 bytes: the QE, to a PCCS' : undefined));
  if (version < 5) return { version, bodyType: tee === 0 ? 1 : 2 };
  const bodyType = r.u16('body type', (value) => BODIES.get(value) ?? 'not known');
  r.u32('body size');
  return { version, bodyType };
}

function readBody(r: FieldReader, bodyType: number): void {
  r.section(BODIES.get(bodyType) ?? 'body');
  if (!BODIES.has(bodyType)) throw new MalformedError('bad_value', 'quote: body type');
  if (bodyType === 1) readEnclaveReport(r);
  else readTdReport(r, bodyType);
}

function readSignatureData(outer: FieldReader, version: number, problems: string[]): void {
  outer.section('signature data');
  const size = outer.u32('size');
  const base = outer.position;
  const r = new FieldReader(outer.take(size), 'signature data', base);
  try {
    r.section('signature');
    r.bytes('quote signature', 64, () => 'by the attestation key, over all before "size"');
    r.bytes('attestation key', 64, () => 'x, y');
    if (version > 3) {
      r.u16('certification data type', (value) => CERTIFICATION.get(value));
      r.u32('certification data size');
    }
    r.section('QE report');
    readEnclaveReport(r);
    r.section('QE certification');
    r.bytes('QE report signature', 64, () => 'by the PCK key');
    const auth = r.u16('QE authentication data size');
    r.bytes('QE authentication data', auth);
    const type = r.u16(
      'certification data type',
      (value) => CERTIFICATION.get(value) ?? 'not known',
    );
    const length = r.u32('certification data size');
    readCertification(r, type, length, problems);
    if (r.remaining > 0) r.bytes('left over', r.remaining, () => 'must not be there');
  } finally {
    outer.include(r.sections);
  }
}

function readCertification(r: FieldReader, type: number, length: number, problems: string[]): void {
  if (type <= 3 && length === 404) {
    r.bytes('PPID field', 384, () => (type === 1 ? 'the first 16 bytes' : 'encrypted to Intel'));
    r.bytes('CPUSVN', 16);
    r.u16('PCESVN');
    r.bytes('PCE-ID', 2);
    return;
  }
  const data = r.bytes('certification data', length, () => CERTIFICATION.get(type));
  r.include(
    attemptSections(() => {
      if (type !== 4 && type !== 5) return [];
      if (data[0] !== PEM) return [certificateSection(parseCertificate(data), 'PCK certificate')];
      return certificateSections(decodeUtf8(data, 'PCK chain'), 'PCK chain');
    }, problems),
  );
}
