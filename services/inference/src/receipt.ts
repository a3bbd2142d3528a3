import { canonicalJson } from '@cloister/bytes';
import { signJws } from '@cloister/crypto';

/**
 * Signs what was given for what (design 3.5): a compact JWS by the attested `sig` key. It proves
 * that attested code gave this output for this tensor; not that it is right, nor whose image it was.
 */
export async function signReceipt(facts: ReceiptFacts, key: CryptoKey): Promise<string> {
  const { model, modelDigest, requestId, manifest, evidenceDigest, inputDigest, outputDigest } =
    facts;
  const { simulated, iat } = facts;
  const payload = canonicalJson({
    model,
    modelDigest,
    inputDigest,
    outputDigest,
    requestId,
    manifest,
    evidenceDigest,
    simulated,
    iat,
  });
  return signJws({ alg: 'ES256', key, header: { typ: 'cloister-receipt+jwt' }, payload });
}

/** What a receipt states. Digests are SHA-256, lower hex. */
export interface ReceiptFacts {
  readonly model: string;
  readonly modelDigest: string;
  /** Of the raw input tensor. */
  readonly inputDigest: string;
  /** Of the raw output tensors, in the order of the answer. */
  readonly outputDigest: string;
  readonly requestId: string;
  /** The id of the manifest by which the caller was judged. */
  readonly manifest: string;
  /** Of the evidence whose keys sign: the one that the caller names, or the newest. */
  readonly evidenceDigest: string;
  readonly simulated: boolean;
  /** Seconds since 1970. */
  readonly iat: number;
}
