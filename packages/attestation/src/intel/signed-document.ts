import {
  decodeHex,
  encodeUtf8,
  equalBytes,
  isJsonObject,
  MalformedError,
  parseJson,
  sliceJsonMember,
  type Bytes,
} from '@cloister/bytes';
import { parseCertificateChain, type Certificate } from '@cloister/crypto';
import type { EvidenceCode } from '../verification.ts';
import { checkIntelPath, importSpki, isIssuedBy, type Issuer } from './certificates.ts';
import type { EvidenceCrypto } from './evidence-crypto.ts';
import { Refusal } from './progress.ts';

/** A document in an envelope that Intel's TCB signer signed; its dates are not judged. */
export interface SignedDocument<Document> {
  readonly document: Document;
  readonly signer: Certificate;
  /** What led to the verdict besides the text: a cached one holds for the same only. */
  readonly chain: string;
  readonly root: Issuer;
}

/** What sort of document to verify. */
export interface DocumentKind<Document> {
  readonly member: 'tcbInfo' | 'enclaveIdentity';
  readonly name: string;
  readonly signature: EvidenceCode;
  readonly invalid: EvidenceCode;
  readonly parse: (text: string) => Document;
}

/**
 * Verifies `{"<member>":{…},"signature":"<hex>"}` over the raw text of the member (spec/evidence.md
 * 3.1), by a signer whose certificate the root signed. The chain's own root is dropped.
 */
export async function verifySignedDocument<Document>(
  envelope: string,
  chain: string,
  root: Issuer,
  kind: DocumentKind<Document>,
  crypto: EvidenceCrypto,
): Promise<SignedDocument<Document>> {
  const { member, name, signature: code } = kind;
  const signer = findSigner(chain, kind);
  checkIntelPath([signer], root.name, `${name} chain`, code);
  if (!(await isIssuedBy(signer, root))) {
    throw new Refusal(code, `${name} signer is not certified by the root of the PCK chain`);
  }
  const text = readEnvelope(kind, () => sliceJsonMember(envelope, member, name));
  const signature = readEnvelope(kind, () => readSignature(envelope, name));
  const key = await importSpki(signer.spki, `${name} signer key`, crypto, code);
  if (!(await key.verify(signature, encodeUtf8(text))))
    throw new Refusal(code, `${name}: signature`);
  const document = readEnvelope(kind, () => kind.parse(text));
  return { document, signer, chain, root };
}

function findSigner(pem: string, { name, signature: code }: DocumentKind<unknown>): Certificate {
  const chain = parseCertificateChain(pem, `${name} chain`);
  if (chain.length !== 2) throw new Refusal(code, `${name} chain: not two certificates`);
  const signer = chain.find(({ subject, issuer }) => !equalBytes(subject, issuer));
  if (signer?.subjectCommonName?.includes('SGX TCB Signing') !== true) {
    throw new Refusal(code, `${name} chain: name of the signer`);
  }
  return signer;
}

function readSignature(envelope: string, name: string): Bytes {
  const value = parseJson(envelope, name);
  const hex = isJsonObject(value) ? value['signature'] : undefined;
  const bytes = typeof hex === 'string' ? decodeHex(hex, `${name}: signature`) : undefined;
  if (bytes?.length !== 64) throw new MalformedError('bad_value', `${name}: signature`);
  return bytes;
}

/** What cannot be read in an envelope has the document's code, not that of its chain. */
function readEnvelope<T>({ invalid }: DocumentKind<unknown>, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof MalformedError)) throw error;
    throw new Refusal(invalid, error.message);
  }
}
