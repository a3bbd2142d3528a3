import type { HeadJudge, Verification, VerifiedPeer } from '@cloister/attestation';
import { createChannel, type ChannelOptions } from '@cloister/channel';
import { createInferenceClient, verifyService } from '@cloister/client';
import type { Random } from '@cloister/sealing';
import { NODE_EVIDENCE_CRYPTO } from '@cloister/service';
import type { JobAgreement } from './job-agreement.ts';
import type { Providers } from './provider.ts';

/** How providers are reached over the network. */
export interface NetworkProvidersOptions
  extends Pick<ChannelOptions, 'transport' | 'primitives' | 'signCall'> {
  readonly urls: readonly string[];
  readonly agreement: JobAgreement;
  readonly attestation: string;
  /** Whether evidence is recent by its heads (design 2.1, rule 8). */
  readonly judgeHeads?: HeadJudge | undefined;
  readonly now: () => Date;
  readonly random: Random;
}

/**
 * Providers at their addresses: each is verified with a nonce of our own, by the library and by token
 * (design 2.1, rule 5), and spoken to in a channel to the key of that evidence, with signed calls.
 */
export function createNetworkProviders(options: NetworkProvidersOptions): Providers {
  const { urls, agreement, attestation, transport, judgeHeads, now, random } = options;
  const { primitives, signCall } = options;
  const verify = (baseUrl: string): Promise<Verification<VerifiedPeer>> => {
    const { trust, bridge } = agreement.current();
    return verifyService({
      baseUrl,
      service: 'inference',
      manifest: trust,
      bridge,
      attestationUrl: attestation,
      requireToken: true,
      judgeHeads,
      transport,
      now,
      random,
      crypto: NODE_EVIDENCE_CRYPTO,
    });
  };
  return {
    urls,
    verify,
    open: (peer, baseUrl) =>
      createInferenceClient(
        createChannel({
          peer,
          url: `${baseUrl}/.well-known/ohttp-gateway`,
          transport,
          now,
          random,
          kems: agreement.current().trust.manifest.services['inference']?.config?.kems ?? [
            'x-wing',
          ],
          ...(primitives === undefined ? {} : { primitives }),
          ...(signCall === undefined ? {} : { signCall }),
        }),
      ),
  };
}
