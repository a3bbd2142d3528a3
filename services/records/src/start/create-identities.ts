import type { Attester } from '@cloister/attestation';
import {
  createIdentity,
  type IdentityOptions,
  type ServiceIdentity,
  type TlsKey,
} from '@cloister/attester';
import type { Bytes } from '@cloister/bytes';
import type { AttestationClient, ManifestFollower } from '@cloister/client';
import { SERVICE } from '../trust/open-releases.ts';

/** What every identity of this process is made of. */
export interface IdentitiesOptions {
  readonly attester: Attester;
  readonly follower: ManifestFollower;
  readonly issuer: Pick<AttestationClient, 'attest'>;
  /** Seconds of a lease. */
  readonly lease: number;
  readonly onTokenFailure: (error: unknown) => void;
}

/** What the identity that callers see names besides. */
export interface ChannelParts {
  /** The channel's key configurations. */
  readonly ohttp: Bytes;
  readonly heads: () => readonly string[];
  /** Our TLS key, where there is a cache gate. */
  readonly tls: TlsKey | undefined;
  readonly now: () => Date;
}

/** The identities of one process: all of the same code, by the same manifests. */
export interface Identities {
  /** Evidence without a channel's key, which only brokers accept: what they release makes the rest. */
  forBrokers(): Promise<ServiceIdentity>;
  /** The same with a token, by which a vault releases. */
  forVault(): Promise<ServiceIdentity>;
  forCallers(parts: ChannelParts): Promise<ServiceIdentity>;
}

/** A token names the heads of its time: it is replaced so often, to be recent wherever it is shown. */
const TOKENS_PER_LEASE = 3;

/** Makes identities when they are asked for. */
export function createIdentities({
  attester,
  follower,
  issuer,
  lease,
  onTokenFailure,
}: IdentitiesOptions): Identities {
  const all = { service: SERVICE, manifests: () => follower.ids, attester };
  const withToken = {
    ...all,
    tokens: async ({ evidence: quote, runtimeData }) => [
      await issuer.attest('Simulated', { quote, runtimeData }),
    ],
    onTokenFailure,
  } satisfies IdentityOptions;
  return {
    forBrokers: () => createIdentity(all),
    forVault: () => createIdentity(withToken),
    forCallers: ({ ohttp, heads, tls, now }) =>
      createIdentity({
        ...withToken,
        ohttp,
        heads,
        tls: tls?.spkiSha256,
        tokenSeconds: lease / TOKENS_PER_LEASE,
        now,
      }),
  };
}
