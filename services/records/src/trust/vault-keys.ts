import {
  BROKER_ANSWER,
  partyKeysDigest,
  type SecretVersion,
  type Verification,
} from '@cloister/attestation';
import type { ServiceIdentity } from '@cloister/attester';
import type { Fetch } from '@cloister/channel';
import { createVaultClient, type ManifestFollower } from '@cloister/client';
import { KEY_LENGTH, type Random } from '@cloister/sealing';

/** How a key is asked for at its owner's vault. */
export interface VaultKeysOptions {
  readonly follower: ManifestFollower;
  /** The secret's name in the manifest, and the service that asks. */
  readonly name: string;
  readonly service: string;
  /**
   * Makes a new identity, with keys of its own and tokens over them: nothing that the host kept of
   * an earlier release opens with them.
   */
  readonly identify: () => Promise<VaultIdentity>;
  readonly transport: Fetch;
  /** The access token for the vault's interface. */
  readonly authorize: () => Promise<string>;
  readonly now: () => Date;
  readonly random: Random;
}

/** A service as a vault sees it: its token, and the key in it. */
export type VaultIdentity = Pick<ServiceIdentity, 'encKey' | 'evidence'>;

/** A key as its owner's vault released it: what `keepLease` keeps, and the keys are made of. */
export interface VaultSecret {
  /** Newest first. */
  readonly versions: readonly SecretVersion[];
  /** When it was asked for, and until when it counts: seconds since 1970. */
  readonly issued: number;
  readonly exp: number;
  /** Whether the vault says of each version that nobody can change its release policy any more. */
  readonly immutable: boolean;
}

/**
 * Asks a vault for all versions of a key that the manifest names (spec/key-broker.md 2.5), as
 * `keepLease` asks a broker. A vault cannot judge manifests. So the evidence, which answers nobody's
 * nonce, carries the digest of the owner's keys there: the same code, started with a manifest that the
 * owner has not signed, shows another one, and the key's release policy refuses it. A vault gives no leases: what it releases counts for one lease of the
 * manifest from when it was asked, and is asked for again before that ends.
 */
export function createVaultKeys(
  options: VaultKeysOptions,
): () => Promise<Verification<VaultSecret>> {
  const { follower, name, service, identify, transport, authorize, now, random } = options;
  const seen = new Map<number, number>();
  return async () => {
    const trust = follower.trust;
    const { secrets = {}, parties, lease } = trust.manifest;
    const agreed = secrets[name];
    const vault = agreed === undefined ? undefined : parties[agreed.owner]?.vault;
    if (agreed?.vault === undefined || vault === undefined || !agreed.to.includes(service))
      return final('vault_unknown');
    const issued = Math.floor(now().getTime() / 1000);
    const identity = await identify();
    const owner = parties[agreed.owner] ?? { keys: [] };
    const { tokens } = await identity.evidence(await partyKeysDigest(owner));
    const [token] = tokens;
    // The attestation service may be away as well as the vault.
    if (token === undefined) return { ok: false, code: 'issuer_unavailable', checks: [] };
    const client = createVaultClient({ vault, transport, authorize, now, random });
    const { key } = agreed.vault;
    const versions: SecretVersion[] = [];
    let immutable = true;
    for (const [number, version] of newestFirst(agreed.vault.versions)) {
      const decryptKey = identity.encKey.privateKey;
      // oxlint-disable-next-line no-await-in-loop -- where one is refused, no other is asked for
      const verdict = await client.releaseKey({ key, version, token, decryptKey });
      if (!verdict.ok) return verdict;
      const { value } = verdict.claims;
      if (value.length !== KEY_LENGTH) return final('vault_key_length');
      immutable &&= verdict.claims.immutable;
      const from = seen.get(number) ?? issued;
      versions.push({ version: number, value, from });
    }
    // When it was heard of here: a lease later every replica has heard of it as well.
    for (const { version, from } of versions) seen.set(version, from);
    const claims = { versions, issued, exp: issued + lease, immutable };
    return { ok: true, claims, checks: [] };
  };
}

function newestFirst(versions: Readonly<Record<string, string>>): readonly [number, string][] {
  return Object.entries(versions)
    .map(([number, id]): [number, string] => [Number(number), id])
    .toSorted(([a], [b]) => b - a);
}

/** The manifest itself gives no key any more: that is the end of the lease. */
function final(code: string): Verification<never> {
  return { ok: false, code, checks: [{ check: BROKER_ANSWER, outcome: 'failed', code }] };
}
