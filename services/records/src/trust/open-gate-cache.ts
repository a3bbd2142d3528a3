import type { HeadJudge } from '@cloister/attestation';
import type { TlsKey } from '@cloister/attester';
import type { Fetch } from '@cloister/channel';
import { type ManifestFollower, verifyService } from '@cloister/client';
import type { Random } from '@cloister/sealing';
import { NODE_EVIDENCE_CRYPTO } from '@cloister/service';
import { type CacheOptions, openCache, type OpenedCache } from './open-cache.ts';

/** Where the gate is, and by what it is judged. */
export interface GateCacheOptions extends Omit<CacheOptions, 'gate' | 'verify' | 'tls' | 'tenant'> {
  /** The gate's plain surface, where its evidence is. */
  readonly url: string | undefined;
  /** Where it speaks Redis' protocol: a port on the same host. */
  readonly port: number | undefined;
  readonly tls: TlsKey | undefined;
  readonly follower: ManifestFollower;
  /** Whether the heads that the gate's evidence names are recent; unasked where the hospital has none. */
  readonly judgeHeads: HeadJudge | undefined;
  readonly attestation: string;
  readonly transport: Fetch;
  readonly random: Random;
}

/** The cache behind the gate, where one is set: see `openCache`. */
export function openGateCache(options: GateCacheOptions): OpenedCache | undefined {
  const { url, port, tls, follower, attestation, judgeHeads, transport, now, random } = options;
  if (tls === undefined || url === undefined || port === undefined) return undefined;
  return openCache({
    ...options,
    tls,
    gate: { host: new URL(url).hostname, port },
    tenant: follower.trust.manifest.deployment,
    verify: () =>
      verifyService({
        baseUrl: url,
        service: 'cache',
        manifest: follower.trust,
        bridge: follower.agreement.bridge,
        judgeHeads,
        attestationUrl: attestation,
        requireToken: true,
        transport,
        now,
        random,
        crypto: NODE_EVIDENCE_CRYPTO,
      }),
  });
}
