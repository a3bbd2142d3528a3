import type { Attester, Manifest } from '@cloister/attestation';
import { createIdentity, type ServiceIdentity } from '@cloister/attester';
import { createChannelKeys, encodeKeyConfigs, type ChannelKeys } from '@cloister/channel';
import type { AttestationClient, ManifestFollower } from '@cloister/client';
import { nodeChannelPrimitives } from '@cloister/service';
import { agreedModels, modelIdentities, type ServedModel } from './models/served-model.ts';

const SERVICE = 'inference';
/** A token names the heads of its time: it is replaced so often, to be recent wherever it is shown. */
const TOKENS_PER_LEASE = 3;

/** What the identity of this process says. */
export interface IdentityOptions {
  readonly attester: Attester;
  /** By which manifests it runs; the first one's settings are those of the process. */
  readonly first: Manifest;
  readonly follower: ManifestFollower;
  /** Those that were loaded: the runtime data list the ones that the manifest in force names. */
  readonly models: readonly ServedModel[];
  /** The hashes of the newest heads. */
  readonly heads: () => readonly string[];
  readonly issuer: Pick<AttestationClient, 'attest'>;
  readonly onTokenFailure: (error: unknown) => void;
  readonly now: () => Date;
}

/** Makes the keys of this process, and the evidence that names them. */
export async function openIdentity({
  attester,
  first,
  follower,
  models,
  heads,
  issuer,
  onTokenFailure,
  now,
}: IdentityOptions): Promise<{
  readonly channelKeys: ChannelKeys;
  readonly identity: ServiceIdentity;
}> {
  // X-Wing unless the manifest lists others (design 5); the key is this process's alone.
  const [kem = 'x-wing'] = first.services[SERVICE]?.config?.kems ?? [];
  const primitives = nodeChannelPrimitives();
  const channelKeys = await createChannelKeys({ kem, keyId: 1, primitives });
  const identity = await createIdentity({
    service: SERVICE,
    manifests: () => follower.ids,
    attester,
    ohttp: encodeKeyConfigs(channelKeys),
    models: () => modelIdentities(agreedModels(models, follower.trust.manifest)),
    heads,
    tokenSeconds: first.lease / TOKENS_PER_LEASE,
    now,
    tokens: async ({ evidence: quote, runtimeData }) => [
      await issuer.attest('Simulated', { quote, runtimeData }),
    ],
    onTokenFailure,
  });
  return { channelKeys, identity };
}
