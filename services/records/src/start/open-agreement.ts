import type { TrustedManifest } from '@cloister/attestation';
import { ManifestFollower } from '@cloister/client';
import { loadTrust, needed } from '@cloister/service';
import type { Config } from '../config.ts';
import { readRestoreOrder, type RestoreOrder } from '../restore/restore-order.ts';
import type { Account } from '../sign-in/accounts.ts';
import { loadAccounts } from '../sign-in/load-accounts.ts';
import { OWN_PARTY } from '../trust/open-releases.ts';

/** What the parties have agreed on, and what the hospital says besides. */
export interface OpenedAgreement {
  /** The manifest by which this process starts: what does not change while it runs is read from it. */
  readonly first: TrustedManifest;
  /** The manifest as it changes. */
  readonly follower: ManifestFollower;
  /** Reads the manifest's file, which somebody may replace. */
  readonly readManifest: () => Promise<string>;
  /** Whether the hospital has a vault in the place of a broker: for as long as this process runs. */
  readonly hasVault: boolean;
  /** The hospital's word on a database that was restored, if there is one. */
  readonly order: RestoreOrder | undefined;
  readonly accounts: readonly Account[];
}

/** Reads and verifies what the settings name. Throws ConfigError. */
export async function openAgreement(
  config: Pick<Config, 'manifest' | 'restore' | 'accounts'>,
  {
    readText,
    now,
  }: { readonly readText: (path: string) => Promise<string>; readonly now: () => Date },
): Promise<OpenedAgreement> {
  const manifestFile = needed(config.manifest, 'manifest');
  const first = await loadTrust({ manifestFile, readFile: readText, ownParty: OWN_PARTY });
  const { restore } = config;
  return {
    first,
    follower: new ManifestFollower({ first, ownParty: OWN_PARTY, now }),
    readManifest: () => readText(manifestFile),
    hasVault: first.manifest.parties[OWN_PARTY]?.vault !== undefined,
    order:
      restore === undefined ? undefined : await readRestoreOrder(await readText(restore), first),
    accounts: await loadAccounts(config.accounts, first.manifest.profile, readText),
  };
}
