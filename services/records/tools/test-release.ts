/** What a broker releases, made up: for tests. Not part of the service. */
import type { ReleasedSecret, SecretVersion } from '@cloister/attestation';

/** A release of these versions, the newest first. */
export function releaseOf(
  name: string,
  type: ReleasedSecret['type'],
  versions: readonly SecretVersion[],
): ReleasedSecret {
  return {
    name,
    owner: 'hospital',
    type,
    service: 'records',
    manifest: 'ab'.repeat(32),
    leaseId: 'cd'.repeat(16),
    epoch: 1,
    issued: 0,
    exp: 900,
    enc: 'x'.repeat(43),
    nonce: new Uint8Array(32),
    versions,
  };
}
