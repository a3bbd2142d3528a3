import type { Certificate } from '@cloister/crypto';
import { Refusal } from '../intel/progress.ts';
import type { SnpCpuid } from './report.ts';
import type { SnpProduct } from './tcb.ts';

const PRODUCTS: readonly SnpProduct[] = ['Milan', 'Genoa', 'Turin'];

/** Models of each product line, by family; Bergamo and Siena (0xA0 on) have Genoa's keys (9.3). */
const MODELS: readonly (readonly [SnpProduct, family: number, first: number, last: number])[] = [
  ['Milan', 0x19, 0x00, 0x0f],
  ['Genoa', 0x19, 0x10, 0x1f],
  ['Genoa', 0x19, 0xa0, 0xaf],
  ['Turin', 0x1a, 0x00, 0x11],
];

/** The product line of a processor; undefined for those whose roots are not known. */
export function productOfCpuid({ family, model }: SnpCpuid): SnpProduct | undefined {
  return MODELS.find(([, f, first, last]) => f === family && model >= first && model <= last)?.[0];
}

const STEPPING = /^-[A-Za-z0-9]{1,8}$/;

/** The product line that a certificate's productName means: with or without a stepping. */
export function productOfName(productName: string): SnpProduct | undefined {
  const product = PRODUCTS.find((name) => productName.startsWith(name));
  if (product === undefined || productName === product) return product;
  return STEPPING.test(productName.slice(product.length)) ? product : undefined;
}

/** The common name of the CA that issues VCEKs or VLEKs of a product line. */
export function vekIssuerName(product: SnpProduct, kind: 'vcek' | 'vlek'): string {
  return kind === 'vcek' ? `SEV-${product}` : `SEV-VLEK-${product}`;
}

/**
 * The one product line of which report, certificate and issuer all speak. A report of version 2
 * does not say; then certificate and issuer must agree. None of them is believed yet: which root
 * counts is decided by its key.
 */
export function agreeOnProduct(
  cpuid: SnpCpuid | null,
  vek: Certificate,
  kind: 'vcek' | 'vlek',
  productName: string,
): SnpProduct {
  const named = productOfName(productName);
  const product = cpuid === null ? named : productOfCpuid(cpuid);
  if (product === undefined) throw new Refusal('snp.product', 'processor: no known product line');
  if (named !== product) throw new Refusal('snp.product', 'productName is of another product line');
  if (vek.issuerCommonName !== vekIssuerName(product, kind)) {
    throw new Refusal('snp.product', 'VEK issuer is of another product line');
  }
  return product;
}
