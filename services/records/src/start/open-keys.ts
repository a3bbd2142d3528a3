import { needed } from '@cloister/service';
import type { Config } from '../config.ts';
import { accessTokenFile } from '../trust/access-token-file.ts';
import { type KeySourceOptions, openReleases, type Releases } from '../trust/open-releases.ts';
import { openVaultReleases } from '../trust/open-vault-releases.ts';
import type { Identities } from './create-identities.ts';
import type { OpenedAgreement } from './open-agreement.ts';
import type { Network } from './open-network.ts';

/** By what keys are asked for. */
export interface KeysOptions
  extends Pick<
    KeySourceOptions,
    'now' | 'random' | 'primitives' | 'log' | 'onChannelKeys' | 'onTenantKeys'
  > {
  readonly agreement: OpenedAgreement;
  readonly network: Network;
  readonly identities: Identities;
  readonly readText: (path: string) => Promise<string>;
}

/**
 * The hospital's keys, from its broker or its vault: one or the other, as the manifest says. It is
 * another deployment after that changed.
 */
export async function openKeys(
  { vaultToken }: Pick<Config, 'vaultToken'>,
  { agreement, network, identities, readText, ...rest }: KeysOptions,
): Promise<Releases> {
  const { follower, readManifest, hasVault } = agreement;
  const { brokers, transport, vaultTransport } = network;
  const source = { ...rest, follower, readManifest, brokers, transport };
  if (!hasVault) return openReleases({ ...source, identity: await identities.forBrokers() });
  return openVaultReleases({
    ...source,
    identify: () => identities.forVault(),
    vaultTransport,
    authorize: accessTokenFile(needed(vaultToken, 'vault-token'), readText),
  });
}
