import {
  decodeBase64url,
  encodeHex,
  equalBytes,
  MalformedError,
  type Bytes,
} from '@cloister/bytes';
import { merkleLeafHash, verifyMerkleInclusion } from '@cloister/crypto';
import { parseRuntimeData, reportDataFor, type RuntimeData } from '../binding/runtime-data.ts';
import type { CheckList } from '../check-list.ts';
import type { EvidenceEnvelope, NoncePath } from '../evidence/envelope.ts';

/** Checks that report data are the digest of runtime data (design 2.2). */
export async function checkReportData(
  list: CheckList,
  runtimeData: Uint8Array,
  reportData: string,
): Promise<boolean> {
  const expected = encodeHex(await reportDataFor(runtimeData));
  return list.expect('channel: report data', expected === reportData, 'report_data_mismatch');
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

/** Checks that the runtime data name the manifest by which the caller judges. */
export function checkManifest(list: CheckList, data: RuntimeData, manifestId: string): void {
  const named = data.manifests.includes(manifestId);
  list.expect('code: runs by this manifest', named, 'manifest_mismatch');
}

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
