import { hash } from 'node:crypto';
import type { IntelCollateral } from '@cloister/attestation';
import { decodePem, encodePem } from '@cloister/bytes';

/** `x-ms-sgx-collateral`: which bytes the verdict rests on; SHA-256, lower hex. */
export type CollateralHashes = Record<
  | 'qeidcertshash'
  | 'qeidcrlhash'
  | 'qeidhash'
  | 'quotehash'
  | 'tcbinfocertshash'
  | 'tcbinfocrlhash'
  | 'tcbinfohash',
  string
>;

/**
 * The hashes that tokens carry (spec/azure-attestation.md 3.3). Those of the quote and of the
 * certificates are proven against real tokens; those of the documents follow them by analogy
 * (text and a NUL), that of the CRL is over its DER.
 */
export function hashCollateral(
  submitted: Uint8Array,
  collateral: IntelCollateral,
): CollateralHashes {
  return { ...documentHashesOf(collateral), quotehash: hex(submitted) };
}

/** The store gives the same object for the same collateral: its hashes are made once. */
const known = new WeakMap<IntelCollateral, DocumentHashes>();

type DocumentHashes = Omit<CollateralHashes, 'quotehash'>;

function documentHashesOf(collateral: IntelCollateral): DocumentHashes {
  const before = known.get(collateral);
  if (before !== undefined) return before;
  const crl = hex(collateral.rootCaCrl);
  const made = {
    qeidcertshash: hex(chainText(collateral.qeIdentityChain)),
    qeidcrlhash: crl,
    qeidhash: hex(`${collateral.qeIdentity}\0`),
    tcbinfocertshash: hex(chainText(collateral.tcbInfoChain)),
    tcbinfocrlhash: crl,
    tcbinfohash: hex(`${collateral.tcbInfo}\0`),
  };
  known.set(collateral, made);
  return made;
}

/** Both certificates as PEM with LF line ends, the last line's too, then a NUL. */
function chainText(pem: string): string {
  const blocks = decodePem(pem, 'CERTIFICATE', 'collateral chain');
  return `${blocks.map((der) => encodePem('CERTIFICATE', der)).join('')}\0`;
}

function hex(data: Uint8Array | string): string {
  return hash('sha256', data, 'hex');
}
