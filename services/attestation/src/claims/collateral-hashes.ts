import type { IntelCollateral } from '@cloister/attestation';
import {
  concatBytes,
  decodePem,
  encodeHex,
  encodePem,
  encodeUtf8,
  type Bytes,
} from '@cloister/bytes';
import { sha256 } from '@cloister/crypto';

/** `x-ms-sgx-collateral`: which bytes the verdict rests on; SHA-256, lower hex. */
export type CollateralHashes = Readonly<
  Record<
    | 'qeidcertshash'
    | 'qeidcrlhash'
    | 'qeidhash'
    | 'quotehash'
    | 'tcbinfocertshash'
    | 'tcbinfocrlhash'
    | 'tcbinfohash',
    string
  >
>;

const NUL = Uint8Array.of(0);

/**
 * The hashes that tokens carry (spec/azure-attestation.md 3.3). Those of the quote and of the
 * certificates are proven against real tokens; those of the documents follow them by analogy
 * (text and a NUL), that of the CRL is over its DER.
 */
export async function hashCollateral(
  submitted: Bytes,
  collateral: IntelCollateral,
): Promise<CollateralHashes> {
  const documents = await documentHashesOf(collateral);
  return { ...documents, quotehash: await hex(submitted) };
}

type DocumentHashes = Omit<CollateralHashes, 'quotehash'>;

/** The store gives the same object for the same collateral: its hashes are made once. */
const known = new WeakMap<IntelCollateral, Promise<DocumentHashes>>();

function documentHashesOf(collateral: IntelCollateral): Promise<DocumentHashes> {
  const before = known.get(collateral);
  if (before !== undefined) return before;
  const made = hashDocuments(collateral);
  known.set(collateral, made);
  return made;
}

async function hashDocuments(collateral: IntelCollateral): Promise<DocumentHashes> {
  const crl = await hex(collateral.rootCaCrl);
  return {
    qeidcertshash: await hex(chainBytes(collateral.qeIdentityChain)),
    qeidcrlhash: crl,
    qeidhash: await hex(withNul(collateral.qeIdentity)),
    tcbinfocertshash: await hex(chainBytes(collateral.tcbInfoChain)),
    tcbinfocrlhash: crl,
    tcbinfohash: await hex(withNul(collateral.tcbInfo)),
  };
}

/** Both certificates as PEM with LF line ends, the last line's too, then a NUL. */
function chainBytes(pem: string): Bytes {
  const blocks = decodePem(pem, 'CERTIFICATE', 'collateral chain');
  return withNul(blocks.map((der) => encodePem('CERTIFICATE', der)).join(''));
}

function withNul(text: string): Bytes {
  return concatBytes(encodeUtf8(text), NUL);
}

async function hex(bytes: Uint8Array): Promise<string> {
  return encodeHex(await sha256(bytes));
}
