import type { Bytes } from '@cloister/bytes';
import type { SnpTcb } from '../claims.ts';
import type { SnpProduct } from '../snp/tcb.ts';
import type { PckCa } from './collateral-source.ts';

/** One document that a source can be asked for. */
export type DocumentId =
  | { readonly kind: 'tcb-info'; readonly tee: 'sgx' | 'tdx'; readonly fmspc: string }
  | { readonly kind: 'qe-identity'; readonly tee: 'sgx' | 'tdx' }
  | { readonly kind: 'evaluation-numbers'; readonly tee: 'sgx' | 'tdx' }
  | { readonly kind: 'pck-crl'; readonly ca: PckCa }
  | { readonly kind: 'root-ca-crl' }
  | {
      readonly kind: 'vcek';
      readonly product: SnpProduct;
      readonly chipId: string;
      readonly tcb: SnpTcb;
    }
  | AmdCaDocument<'amd-chain'>
  | AmdCaDocument<'amd-crl'>;

interface AmdCaDocument<Kind> {
  readonly kind: Kind;
  readonly product: SnpProduct;
  readonly signer: 'vcek' | 'vlek';
}

/** A document as it was served. */
export interface CollateralDocument {
  /** Signed JSON as text bytes, DER of CRLs and certificates, PEM of a chain. */
  readonly body: Bytes;
  /** PEM: who signed it, as served beside it. */
  readonly chain?: string;
}

/** What a document says of its own time. */
export interface DocumentDates {
  readonly issued?: Date;
  /** It is to be replaced by then; absent where it has no end that a source could better. */
  readonly nextUpdate?: Date;
  /** A number that never falls from one issue to the next, where the document has one. */
  readonly evaluationNumber?: number;
}

const NAMES = {
  'tcb-info': 'TCB info',
  'qe-identity': 'QE identity',
  'evaluation-numbers': 'TCB evaluation data numbers',
  'pck-crl': 'PCK CRL',
  'root-ca-crl': 'root CA CRL',
  vcek: 'VCEK',
  'amd-chain': 'ASK and ARK',
  'amd-crl': 'AMD CRL',
} as const;

/** What a document is called where people read it. */
export function documentName({ kind }: DocumentId): string {
  return NAMES[kind];
}

/** A text that is equal for equal ids, and for no others. */
export function documentKey(id: DocumentId): string {
  const { kind, ...rest } = id;
  const parts = Object.entries(rest).map(([name, value]) =>
    typeof value === 'string' ? `${name}=${value}` : `${name}=${tcbKey(value)}`,
  );
  return [kind, ...parts.toSorted()].join('|');
}

function tcbKey({ fmc, bootloader, tee, snp, microcode }: SnpTcb): string {
  return [fmc ?? '-', bootloader, tee, snp, microcode].join('.');
}
