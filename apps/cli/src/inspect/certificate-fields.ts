import { parsePckExtension } from '@cloister/attestation';
import { encodeHex, MalformedError } from '@cloister/bytes';
import { parseCertificateChain, parsePublicKey, type Certificate } from '@cloister/crypto';
import type { Field, Section } from './inspection.ts';

const SGX_EXTENSION = '1.2.840.113741.1.13.1';
const AMD_PREFIX = '1.3.6.1.4.1.3704.1.';
const AMD_INTEGERS: Readonly<Record<string, string>> = {
  '3.1': 'boot loader',
  '3.2': 'TEE',
  '3.3': 'SNP',
  '3.8': 'microcode',
  '3.9': 'FMC',
};

/** The certificates of a PEM text, each a section; what it says beside them in words. */
export function certificateSections(pem: string, title: string): Section[] {
  return parseCertificateChain(pem, title).map((certificate, i) =>
    certificateSection(certificate, `${title}, certificate ${i + 1}`),
  );
}

/** What a certificate says, without its signature being looked at. */
export function certificateSection(certificate: Certificate, title: string): Section {
  const { extensions } = certificate;
  const sgx = extensions.get(SGX_EXTENSION)?.value;
  return {
    title,
    fields: [
      { name: 'subject', value: certificate.subjectCommonName ?? '(no common name)' },
      { name: 'issuer', value: certificate.issuerCommonName ?? '(no common name)' },
      { name: 'serial', value: certificate.serial },
      { name: 'valid from', value: certificate.notBefore.toISOString() },
      { name: 'valid to', value: certificate.notAfter.toISOString() },
      { name: 'key', value: keyOf(certificate) },
      { name: 'signature', value: certificate.signatureAlgorithm },
      ...(sgx === undefined ? [] : pckFields(sgx)),
      ...amdFields(certificate),
    ],
  };
}

function keyOf({ spki }: Certificate): string {
  const key = parsePublicKey(spki, 'key');
  return key.type === 'ec' ? `EC ${key.curve}` : 'RSA';
}

function pckFields(value: Uint8Array): Field[] {
  const pck = parsePckExtension(value);
  return [
    { name: 'FMSPC', value: encodeHex(pck.fmspc), meaning: 'model of processor: selects TCB info' },
    { name: 'PCE-ID', value: encodeHex(pck.pceId) },
    { name: 'PPID', value: encodeHex(pck.ppid), meaning: 'this platform' },
    { name: 'CPUSVN', value: encodeHex(pck.cpuSvn) },
    { name: 'TCB components', value: pck.components.join(' ') },
    { name: 'PCESVN', value: String(pck.pceSvn) },
    { name: 'SGX type', value: pck.sgxType },
    ...Object.entries(pck.configuration ?? {}).map(([name, on]) => ({ name, value: String(on) })),
  ];
}

function amdFields({ extensions }: Certificate): Field[] {
  const of = (arc: string): Uint8Array | undefined => extensions.get(AMD_PREFIX + arc)?.value;
  const product = of('2');
  if (product === undefined) return [];
  const levels = Object.entries(AMD_INTEGERS).flatMap(([arc, name]) => {
    const value = of(arc)?.at(-1);
    return value === undefined ? [] : [`${name} ${value}`];
  });
  const [chip, provider] = [of('4'), of('5')];
  return [
    { name: 'product', value: textOf(product) },
    { name: 'TCB', value: levels.join(', ') },
    ...(chip === undefined ? [] : [{ name: 'chip', value: encodeHex(chip) }]),
    ...(provider === undefined ? [] : [{ name: 'provider', value: textOf(provider) }]),
  ];
}

/** The text of an IA5String; its tag and length are two bytes. */
function textOf(value: Uint8Array): string {
  const text = String.fromCharCode(...value.subarray(2));
  return /^[\x20-\x7e]*$/.test(text) ? text : encodeHex(value);
}

/** Sections of what can be read, or a problem in words. */
export function attemptSections(
  read: () => readonly Section[],
  problems: string[],
): readonly Section[] {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof MalformedError)) throw error;
    problems.push(error.message);
    return [];
  }
}
