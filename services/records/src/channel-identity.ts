import type { EvidenceEnvelope, EvidenceSource } from '@cloister/attestation';
import type { ServiceIdentity } from '@cloister/attester';
import { type Bytes, equalBytes } from '@cloister/bytes';
import { type ChannelKeys, encodeKeyConfigs } from '@cloister/channel';
import type { ChannelKeySource } from './channel-keys.ts';

/** What the identity of the channel is made with. */
export interface ChannelIdentityOptions {
  readonly source: ChannelKeySource;
  readonly now: () => Date;
  /** Makes the service's identity for these key configurations. */
  readonly identify: (ohttp: Bytes) => Promise<ServiceIdentity>;
}

/** The service's identity and the channel's keys, which change together. */
export interface ChannelIdentity extends EvidenceSource {
  readonly identity: ServiceIdentity;
  /** Those that open messages now. */
  readonly keys: () => readonly ChannelKeys[];
  /** Takes up the keys of now; to be called every few minutes. */
  readonly renew: () => Promise<void>;
}

/**
 * The identity whose runtime data name the channel's key: the same key in all replicas and after a
 * restart, so that nobody has to verify again for it, and another one every day.
 */
export async function createChannelIdentity(
  options: ChannelIdentityOptions,
): Promise<ChannelIdentity> {
  const { source, now, identify } = options;
  let current = await source.load();
  let ohttp = encodeKeyConfigs(current.shown);
  let identity = await identify(ohttp);
  return {
    get identity() {
      return identity;
    },
    get ohttpKeys() {
      return ohttp;
    },
    evidence: (nonce): Promise<EvidenceEnvelope> => identity.evidence(nonce),
    keys: () =>
      current.accepted.flatMap(({ keys, until }) => (until > now().getTime() ? [keys] : [])),
    async renew() {
      const next = await source.load();
      const shown = encodeKeyConfigs(next.shown);
      if (equalBytes(shown, ohttp)) {
        current = next;
        return;
      }
      // Until there is evidence of the new key, whoever verifies is still shown the old one: both open.
      const old = current.accepted.filter(
        ({ keys }) => keys === current.shown && !next.accepted.some((one) => one.keys === keys),
      );
      current = { shown: current.shown, accepted: [...next.accepted, ...old] };
      try {
        identity = await identify(shown);
        ohttp = shown;
      } finally {
        // Also where there is no such evidence: a key that was replaced opens nothing any more.
        current = next;
      }
    },
  };
}
