import { DER, DerReader, encodeHex, MalformedError } from '@cloister/bytes';
import { parseCertificateChain, type Certificate } from '@cloister/crypto';
import type { PckCa } from '@cloister/attestation';

/** Which collateral a quote needs: by model of processor, and by the CA of its PCK. */
export interface QuotePlatform {
  /** 12 lower-hex digits. */
  readonly fmspc: string;
  readonly ca: PckCa;
}

const SGX_EXTENSION = '1.2.840.113741.1.13.1';
const FMSPC = `${SGX_EXTENSION}.4`;
const BEGIN = '-----BEGIN CERTIFICATE-----';
const END = '-----END CERTIFICATE-----';
const REMEMBERED = 256;

/**
 * Finds which collateral a quote needs, from the PCK certificate it carries; reads the certificates
 * of a platform that comes again only once. Nothing is verified here: a wrong answer only leads to
 * collateral by which the quote then fails.
 */
export function createPlatformReader(): (quote: Uint8Array) => QuotePlatform {
  const known = new Map<string, QuotePlatform>();
  return (quote) => {
    const chain = chainOf(quote);
    const platform = known.get(chain) ?? platformOfChain(chain);
    known.delete(chain);
    known.set(chain, platform);
    const [oldest] = known.keys();
    if (known.size > REMEMBERED && oldest !== undefined) known.delete(oldest);
    return platform;
  };
}

/** The PEM text of the chain: real quotes have bytes of other kinds around it. */
function chainOf(quote: Uint8Array): string {
  const bytes = Buffer.from(quote.buffer, quote.byteOffset, quote.length);
  const start = bytes.indexOf(BEGIN);
  const end = bytes.lastIndexOf(END);
  if (start < 0 || end < start)
    throw new MalformedError('bad_value', 'quote: no PCK certificate chain');
  return bytes.toString('latin1', start, end + END.length);
}

function platformOfChain(pem: string): QuotePlatform {
  for (const certificate of parseCertificateChain(pem, 'PCK chain')) {
    const value = certificate.extensions.get(SGX_EXTENSION)?.value;
    if (value !== undefined) return { fmspc: fmspcOf(value), ca: pckCaOf(certificate) };
  }
  throw new MalformedError('bad_value', 'PCK chain: no PCK certificate');
}

/** The CA by the issuer's common name: `Intel SGX PCK Platform CA` or `… Processor CA`. */
export function pckCaOf({ issuerCommonName }: Pick<Certificate, 'issuerCommonName'>): PckCa {
  return issuerCommonName?.includes('Platform') === true ? 'platform' : 'processor';
}

function fmspcOf(extension: Uint8Array): string {
  const entries = new DerReader(extension, 'SGX extension').enter(DER.SEQUENCE);
  while (!entries.done) {
    const entry = entries.enter(DER.SEQUENCE);
    if (entry.oid() === FMSPC) return encodeHex(entry.expect(DER.OCTET_STRING).value);
  }
  throw new MalformedError('bad_value', 'SGX extension: no FMSPC');
}
