import { concatBytes, encodeHex, equalBytes, Reader, type Bytes } from '@cloister/bytes';
import { sha256, spkiFromJwk, verifySignature, type Jwk } from '@cloister/crypto';
import type { CheckList } from '../check-list.ts';
import { attempt } from './hcl-binding.ts';

/** A quote of a TPM 2.0, and the registers that it is over. */
export interface TpmQuote {
  /** TPMS_ATTEST, as it was signed. */
  readonly message: Bytes;
  /** RSASSA-PKCS1-v1_5 with SHA-256. */
  readonly signature: Bytes;
  /** SHA-256 PCRs; the index is the number. Those that the quote selects must be there. */
  readonly pcrs: readonly Bytes[];
}

/** A TPMS_ATTEST of type quote, as read (TPM 2.0 Library, part 2, 10.12). */
export interface TpmAttest {
  /** What the caller of the quote put in: a nonce. */
  readonly extraData: Bytes;
  /** Numbers of the SHA-256 PCRs that the digest is over, ascending. */
  readonly selection: readonly number[];
  readonly pcrDigest: Bytes;
}

const NAME = 'TPM quote';
/** TPM_GENERATED_VALUE: only the TPM itself puts it in front of what a restricted key signs. */
const GENERATED = 0xff54_4347;
const ATTEST_QUOTE = 0x8018;
const ALGORITHM_SHA256 = 0x000b;
const DIGEST_SIZE = 32;

/** What a quote that was verified vouches for. */
export interface VerifiedTpmQuote {
  /** SHA-256 PCRs in lower hex, by number. */
  readonly pcrs: Readonly<Record<string, string>>;
  /** What the caller of the quote put in, lower hex. */
  readonly qualifyingData: string;
}

/** The check that is skipped where no nonce is expected. */
export const TPM_NONCE_CHECK = 'TPM quote has the nonce';

/** Reads a TPMS_ATTEST: a quote over one selection of SHA-256 PCRs; MalformedError for all else. */
export function parseTpmAttest(message: Uint8Array): TpmAttest {
  const r = new Reader(message, NAME);
  if (r.u32be() !== GENERATED) r.fail('bad_value');
  if (r.u16be() !== ATTEST_QUOTE) r.fail('bad_value');
  r.bytes(r.u16be()); // qualifiedSigner: the key that is known verifies, not its name
  const extraData = r.bytes(r.u16be());
  r.bytes(17 + 8); // clockInfo, firmwareVersion
  if (r.u32be() !== 1) r.fail('bad_value');
  if (r.u16be() !== ALGORITHM_SHA256) r.fail('bad_value');
  const size = r.u8();
  if (size > 4) r.fail('bad_value');
  const bitmap = r.bytes(size);
  const selection = Array.from({ length: 8 * size }, (_, i) => i).filter(
    (i) => ((bitmap[i >> 3] ?? 0) & (1 << (i & 7))) !== 0,
  );
  if (selection.length === 0) r.fail('bad_value');
  const pcrDigest = r.bytes(r.u16be());
  if (pcrDigest.length !== DIGEST_SIZE) r.fail('bad_value');
  r.end();
  return { extraData, selection, pcrDigest };
}

/**
 * Checks a quote by the attestation key that the HCL claims name (spec/evidence.md 10): signature,
 * registers, nonce. Gives what the quote vouches for; undefined where a check failed. Without a
 * nonce the quote may be old, and the check is skipped.
 */
export async function checkTpmQuote(
  list: CheckList,
  { message, signature, pcrs }: TpmQuote,
  attestationKey: Jwk | undefined,
  nonce: Bytes | undefined,
): Promise<VerifiedTpmQuote | undefined> {
  const attest = attempt(() => parseTpmAttest(message));
  if (!list.expect('TPM quote format', !!attest, 'tpm.format') || !attest) return undefined;
  const signed = attestationKey !== undefined && (await verify(attestationKey, signature, message));
  list.expect('TPM quote is signed by the attestation key', signed, 'tpm.signature');
  const selected = attest.selection.map((i): [string, Bytes | undefined] => [`${i}`, pcrs[i]]);
  const present = selected.filter(
    (entry): entry is [string, Bytes] => entry[1]?.length === DIGEST_SIZE,
  );
  const digest = await sha256(concatBytes(...present.map(([, value]) => value)));
  const complete = present.length === selected.length && equalBytes(digest, attest.pcrDigest);
  list.expect('TPM quote is over these PCRs', complete, 'tpm.pcrs');
  if (nonce === undefined) list.skip(TPM_NONCE_CHECK, 'none given: it may be old');
  else list.expect(TPM_NONCE_CHECK, equalBytes(attest.extraData, nonce), 'tpm.nonce');
  if (list.code !== undefined) return undefined;
  return {
    pcrs: Object.fromEntries(present.map(([i, value]) => [i, encodeHex(value)])),
    qualifyingData: encodeHex(attest.extraData),
  };
}

async function verify(key: Jwk, signature: Bytes, message: Bytes): Promise<boolean> {
  const spki = attempt(() => spkiFromJwk(key));
  if (key.kty !== 'RSA' || spki === undefined) return false;
  return verifySignature(spki, 'rsa-pkcs1-sha256', signature, message);
}
