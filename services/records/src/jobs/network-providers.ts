import type { HeadJudge, TrustedManifest } from '@cloister/attestation';
import { createChannel, type ChannelOptions } from '@cloister/channel';
import { createInferenceClient, verifyService } from '@cloister/client';
import type { Random } from '@cloister/sealing';
import { NODE_EVIDENCE_CRYPTO } from '@cloister/service';
import type { Providers } from './provider.ts';

/** How providers are reached over the network. */
export interface NetworkProvidersOptions
  extends Pick<ChannelOptions, 'transport' | 'primitives' | 'signCall'> {
  readonly urls: readonly string[];
  readonly manifest: TrustedManifest;
  readonly attestation: string;
  /** Whether evidence is recent by its heads (design 2.1, rule 8). */
  readonly judgeHeads?: HeadJudge;
  readonly now: () => Date;
  readonly random: Random;
}

/**
 * Providers at their addresses: each is verified with a nonce of our own, by the library and by token
 * (design 2.1, rule 5), and spoken to in a channel to the key of that evidence, with signed calls.
 */
export function createNetworkProviders(options: NetworkProvidersOptions): Providers {
  const { urls, manifest, attestation, transport, judgeHeads, now, random } = options;
  const { primitives, signCall } = options;
  const kems = manifest.manifest.services['inference']?.config?.kems ?? ['x-wing'];
  return {
    urls,
    verify: (baseUrl) =>
      verifyService({
        baseUrl,
        service: 'inference',
        manifest,
        attestationUrl: attestation,
        requireToken: true,
        judgeHeads,
        transport,
        now,
        random,
        crypto: NODE_EVIDENCE_CRYPTO,
      }),
    open: (peer, baseUrl) =>
      createInferenceClient(
        createChannel({
          peer,
          url: `${baseUrl}/.well-known/ohttp-gateway`,
          transport,
          now,
          random,
          kems,
          ...(primitives === undefined ? {} : { primitives }),
          ...(signCall === undefined ? {} : { signCall }),
        }),
      ),
  };
}
