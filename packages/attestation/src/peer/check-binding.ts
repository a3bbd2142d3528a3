import {
  decodeBase64url,
  encodeHex,
  equalBytes,
  MalformedError,
  type Bytes,
} from '@cloister/bytes';
import { merkleLeafHash, sha256, verifyMerkleInclusion } from '@cloister/crypto';
import type { HclClaims } from '../azure-hcl/verify-hcl-report.ts';
import { parseRuntimeData, reportDataFor, type RuntimeData } from '../binding/runtime-data.ts';
import type { CheckList } from '../check-list.ts';
import type { EvidenceEnvelope, NoncePath } from '../evidence/envelope.ts';
import type { ManifestBridge, TrustedManifest } from '../manifest/trusted-manifest.ts';
import type { Verification } from '../verification.ts';

/** Checks that report data are the digest of runtime data (design 2.2). */
export async function checkReportData(
  list: CheckList,
  runtimeData: Uint8Array,
  reportData: string,
): Promise<boolean> {
  const expected = encodeHex(await reportDataFor(runtimeData));
  return list.expect('channel: report data', expected === reportData, 'report_data_mismatch');
}

/**
 * The same for a confidential VM of Azure: its guest cannot set the report data, where the paravisor
 * names the vTPM's keys. What the vTPM's quote carries (TPMS_ATTEST.extraData) takes their part: the
 * 32 bytes of SHA-256 of the runtime data, with no padding, for TPMs take no 64 bytes there.
 */
export async function checkQualifyingData(
  list: CheckList,
  runtimeData: Uint8Array,
  { qualifyingData }: HclClaims,
): Promise<boolean> {
  const expected = encodeHex(await sha256(runtimeData));
  return list.expect('channel: report data', expected === qualifyingData, 'report_data_mismatch');
}

/** Reads runtime data and checks that they are those of the service that was asked for. */
export function checkRuntimeData(
  list: CheckList,
  bytes: Uint8Array,
  service: string,
): RuntimeData | undefined {
  const data = readRuntimeData(bytes);
  list.expect('channel: runtime data', data !== undefined, 'runtime_data_malformed');
  if (data !== undefined)
    list.expect('channel: service', data.service === service, 'service_mismatch');
  return data;
}

/** By which manifest the runtime data are judged, and when. */
export interface AgreementTrust {
  readonly manifest: TrustedManifest;
  readonly at: Date;
  readonly bridge?: ManifestBridge | undefined;
}

/**
 * Checks that the runtime data name the manifest by which the caller judges, or the one before it
 * while that is bridged; gives the one that they name.
 */
export function checkManifest(
  list: CheckList,
  { manifests }: RuntimeData,
  { manifest, at, bridge }: AgreementTrust,
): string | undefined {
  const bridged = bridge !== undefined && at < bridge.until ? [bridge.manifestId] : [];
  const named = [manifest.id, ...bridged].find((id) => manifests.includes(id));
  list.expect('code: runs by this manifest', named !== undefined, 'manifest_mismatch');
  return named;
}

/** Says whether the heads of these hashes are recent: see `HeadKeeper.judge`. */
export type HeadJudge = (
  hashes: readonly string[],
) => Verification<unknown> | Promise<Verification<unknown>>;

/** Checks that the runtime data name a recent head of the accepter's own party (rule 8). */
export async function checkRecentHeads(
  list: CheckList,
  { heads = [] }: RuntimeData,
  judge: HeadJudge | undefined,
): Promise<void> {
  if (judge === undefined) {
    list.skip('code: recent head', 'not asked for: this agreement may be an old one');
    return;
  }
  const verdict = await judge(heads);
  const code = verdict.ok ? '' : verdict.code;
  list.expect('code: recent head', verdict.ok, code, HEAD_WORDS[code]);
}

/** What the codes of `checkHeads` and `checkHead` mean, in words. */
const HEAD_WORDS: Readonly<Record<string, string>> = {
  heads_missing: 'it names no head of any broker',
  head_unknown: "it names no head that the own party's broker has signed lately",
  head_too_old: 'the head that it names is older than the lease: it is kept from what is new',
  own_head_missing: "no head of the own party's broker is known",
  manifest_superseded: 'a newer manifest is in force',
};

/** Checks that the runtime data hold the caller's nonce, or the root of a tree that does. */
export async function checkNonce(
  list: CheckList,
  data: RuntimeData,
  { noncePath }: EvidenceEnvelope,
  nonce: Bytes | undefined,
): Promise<void> {
  if (nonce === undefined) {
    list.skip('channel: nonce', 'the caller gave none: this evidence may be old');
    return;
  }
  const stated = data.nonce === undefined ? undefined : decodeBase64url(data.nonce);
  const holds =
    stated !== undefined &&
    (noncePath === undefined ? equalBytes(stated, nonce) : await isLeaf(nonce, noncePath, stated));
  list.expect('channel: nonce', holds, 'nonce_mismatch');
}

async function isLeaf(nonce: Bytes, { index, size, path }: NoncePath, root: Bytes) {
  const leafHash = await merkleLeafHash(nonce);
  return verifyMerkleInclusion({ leafHash, index, size, proof: path, root });
}

function readRuntimeData(bytes: Uint8Array): RuntimeData | undefined {
  try {
    return parseRuntimeData(bytes);
  } catch (error) {
    if (error instanceof MalformedError) return undefined;
    throw error;
  }
}
