import type { EvidenceEnvelope } from '@cloister/attestation';
import type { ServiceIdentity } from '@cloister/attester';
import type { Bytes } from '@cloister/bytes';
import { encodeKeyConfigs, type ChannelKeys } from '@cloister/channel';
import type { QuoteSource } from './routes/state.ts';

/** What stands for the manifest in the runtime data of a broker that has none yet. */
export const NO_MANIFEST: string = '00'.repeat(32);

/** This process's attested identity: in every state, and by the manifest that is in force. */
export interface BrokerIdentity extends QuoteSource {
  /** Its keys and evidence as they are now, together. */
  current(): ServiceIdentity;
  /** Goes on with evidence that names another manifest; the channel's key stays. */
  follow(manifestId: string): Promise<void>;
}

/** The identity of a broker. `identify` makes the keys and the evidence (design 2.2). */
export async function createBrokerIdentity(options: {
  readonly manifestId: string;
  readonly channelKeys: ChannelKeys;
  readonly identify: (manifestId: string, ohttp: Bytes) => Promise<ServiceIdentity>;
}): Promise<BrokerIdentity> {
  const ohttp = encodeKeyConfigs(options.channelKeys);
  let identity = await options.identify(options.manifestId, ohttp);
  return {
    ohttpKeys: ohttp,
    evidence: (nonce): Promise<EvidenceEnvelope> => identity.evidence(nonce),
    current: () => identity,
    sigKey: () => identity.sigKey.privateKey,
    follow: async (manifestId) => {
      identity = await options.identify(manifestId, ohttp);
    },
  };
}
