import { decodeUtf8, DER, DerReader, encodeHex, MalformedError } from '@cloister/bytes';
import { parseCertificateChain, type Certificate } from '@cloister/crypto';

/** Which collateral a quote needs: by model of processor, and by the CA of its PCK. */
export interface QuotePlatform {
  /** 12 lower-hex digits. */
  readonly fmspc: string;
  readonly ca: PckCa;
}

/** Intel's two CAs that issue PCK certificates. */
export type PckCa = 'processor' | 'platform';

const SGX_EXTENSION = '1.2.840.113741.1.13.1';
const FMSPC = `${SGX_EXTENSION}.4`;
const BEGIN = '-----BEGIN CERTIFICATE-----';

/**
 * Finds which collateral a quote needs, from the PCK certificate it carries. Nothing is verified
 * here: a wrong answer only leads to collateral by which the quote then fails.
 */
export function platformOfQuote(quote: Uint8Array): QuotePlatform {
  const at = Buffer.from(quote.buffer, quote.byteOffset, quote.length).indexOf(BEGIN);
  if (at < 0) throw new MalformedError('bad_value', 'quote: no PCK certificate chain');
  const chain = parseCertificateChain(readPem(quote.subarray(at)), 'PCK chain');
  for (const certificate of chain) {
    const value = certificate.extensions.get(SGX_EXTENSION)?.value;
    if (value !== undefined) return { fmspc: fmspcOf(value), ca: pckCaOf(certificate) };
  }
  throw new MalformedError('bad_value', 'PCK chain: no PCK certificate');
}

/** The CA by the issuer's common name: `Intel SGX PCK Platform CA` or `… Processor CA`. */
export function pckCaOf({ issuerCommonName }: Pick<Certificate, 'issuerCommonName'>): PckCa {
  return issuerCommonName?.includes('Platform') === true ? 'platform' : 'processor';
}

/** The PEM text up to its last block's end: real quotes have bytes of other kinds after it. */
function readPem(bytes: Uint8Array): string {
  const end = bytes.findIndex((byte) => byte >= 0x80 || byte === 0);
  return decodeUtf8(end < 0 ? bytes : bytes.subarray(0, end), 'PCK chain');
}

function fmspcOf(extension: Uint8Array): string {
  const entries = new DerReader(extension, 'SGX extension').enter(DER.SEQUENCE);
  while (!entries.done) {
    const entry = entries.enter(DER.SEQUENCE);
    if (entry.oid() === FMSPC) return encodeHex(entry.expect(DER.OCTET_STRING).value);
  }
  throw new MalformedError('bad_value', 'SGX extension: no FMSPC');
}
