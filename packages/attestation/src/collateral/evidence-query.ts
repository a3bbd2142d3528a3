import { decodePem, decodeUtf8, encodeHex, isZero, MalformedError } from '@cloister/bytes';
import { parseCertificate, parseCertificateChain, type Certificate } from '@cloister/crypto';
import { parsePckExtension, SGX_EXTENSION_OID } from '../intel/pck-extension.ts';
import { parseQuote } from '../intel/quote.ts';
import type { VerificationCache } from '../intel/verification-cache.ts';
import { productOfCpuid } from '../snp/product.ts';
import { parseSnpReport } from '../snp/report.ts';
import { parseSnpTcb, type SnpProduct } from '../snp/tcb.ts';
import type { IntelQuery, PckCa, SnpQuery } from './collateral-source.ts';

const PCK = 'PCK certificate';
const PEM = 0x2d; // a dash

/** What helps to find out: both need not be there. */
export interface IntelQueryHelp {
  /** PEM, for a quote that carries no certificate. */
  readonly pckChain?: string | undefined;
  /** Of chains that were verified before, the certificates need not be read again. */
  readonly cache?: Pick<VerificationCache, 'pckChains'>;
}

/**
 * Which collateral a quote needs, by the PCK certificate that it carries. Nothing is verified: a
 * wrong answer leads to collateral by which the quote then fails. MalformedError where the quote
 * carries no certificate (certification data 1 to 3) and none is given.
 */
export function intelQueryOf(
  quote: Uint8Array,
  { pckChain, cache }: IntelQueryHelp = {},
): IntelQuery {
  const { tee, certificationData } = parseQuote(quote);
  const { type, data } = certificationData;
  const known = type === 5 ? cache?.pckChains.get(data) : undefined;
  if (known !== undefined) return { tee, fmspc: known.claims.fmspc, ca: pckCaOf(known.leaf) };
  if (type === 4) return { tee, ...platformOf([parseLeaf(data)]) };
  const pem = type === 5 ? decodeUtf8(data, PCK) : pckChain;
  if (pem === undefined) throw new MalformedError('truncated', `quote: ${PCK} (type ${type})`);
  return { tee, ...platformOf(parseCertificateChain(pem, PCK)) };
}

/** The CA by the issuer's common name: `Intel SGX PCK Platform CA` or `… Processor CA`. */
export function pckCaOf({ issuerCommonName }: { issuerCommonName: string | undefined }): PckCa {
  return issuerCommonName?.includes('Platform') === true ? 'platform' : 'processor';
}

/**
 * Which of AMD's certificates a report needs. A report of version 2 does not say what processor
 * made it; then `product` says so, Milan unless told, and a wrong one is not found.
 */
export function snpQueryOf(report: Uint8Array, product?: SnpProduct): SnpQuery {
  const { cpuid, chipId, reportedTcb, signingKey } = parseSnpReport(report);
  const made = cpuid === null ? (product ?? guess(chipId)) : productOfCpuid(cpuid);
  if (made === undefined) throw new MalformedError('bad_value', 'SNP report: product line');
  return {
    product: made,
    signer: signingKey === 1 ? 'vlek' : 'vcek',
    chipId: encodeHex(chipId),
    tcb: parseSnpTcb(reportedTcb, made, 'REPORTED_TCB'),
  };
}

/** Only Turin uses the first 8 bytes of CHIP_ID alone (spec/evidence.md 9.3). */
function guess(chipId: Uint8Array): SnpProduct {
  return isZero(chipId.subarray(8)) && !isZero(chipId) ? 'Turin' : 'Milan';
}

function parseLeaf(data: Uint8Array): Certificate {
  if (data[0] !== PEM) return parseCertificate(data, PCK);
  const [der] = decodePem(decodeUtf8(data, PCK), 'CERTIFICATE', PCK);
  if (der === undefined) throw new MalformedError('truncated', PCK);
  return parseCertificate(der, PCK);
}

function platformOf(chain: readonly Certificate[]): Omit<IntelQuery, 'tee'> {
  for (const certificate of chain) {
    const value = certificate.extensions.get(SGX_EXTENSION_OID)?.value;
    if (value === undefined) continue;
    return { fmspc: encodeHex(parsePckExtension(value).fmspc), ca: pckCaOf(certificate) };
  }
  throw new MalformedError('bad_value', `${PCK}: no SGX extension`);
}
