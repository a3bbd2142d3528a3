import { admit } from '@cloister/attestation';
import type { Random } from '@cloister/sealing';
import type { ActiveBroker, Broker } from '../broker.ts';
import type { BrokerEvent } from '../journal/broker-event.ts';
import { liveVersions } from '../release/secret-vault.ts';
import { requireSameManifest } from '../trust/manifest-book.ts';
import { encryptToTee, type FlattenedJwe } from './encrypt-to-tee.ts';
import { RcarError } from './rcar-error.ts';
import type { AttestedClient } from './sessions.ts';

/** Where a resource is: `/kbs/v0/resource/{repository}/{type}/{tag}`. */
export interface ResourcePath {
  /** The deployment's name. */
  readonly repository: string;
  /** `secret`: what the manifest lists. */
  readonly type: string;
  /** The secret's name. */
  readonly tag: string;
}

/**
 * Releases a secret to a foreign client: a flattened JWE (RFC 7516, 7.2.2) to its `tee-pubkey`.
 * Whether it may have it, the manifest says, as for ours: its code is one of the services that the
 * secret goes to. Such a JWE names no sender: who needs one speaks our own protocol.
 */
export async function releaseResource(
  { repository, type, tag }: ResourcePath,
  client: AttestedClient,
  { broker, active, random }: { broker: Broker; active: ActiveBroker; random: Random },
): Promise<FlattenedJwe> {
  const { trust, journal, vault } = active;
  const { deployment, secrets = {} } = trust.manifest;
  const agreement =
    repository === deployment && type === 'secret' && Object.hasOwn(secrets, tag)
      ? secrets[tag]
      : undefined;
  if (agreement?.owner !== broker.party) throw absent();
  if (client.manifest !== trust.id)
    throw new RcarError('Unauthenticated', 'another manifest is in force: attest again');
  const service = agreement.to.find((to) => admit(trust.manifest, to, client.claims).ok);
  if (service === undefined) throw new RcarError('PolicyDeny', 'not a service that gets it');
  const now = broker.now();
  const [current] = liveVersions(journal.state.secret(tag), now)
    .filter(({ from }) => from <= now)
    .toReversed();
  if (current === undefined) throw absent();
  const value = await vault.open(tag, current);
  const released: BrokerEvent = {
    event: 'secret-released',
    name: tag,
    version: current.version,
    service,
    via: 'rcar',
    evidence: client.evidenceDigest,
    simulated: client.claims.simulated,
    manifest: trust.id,
  };
  await journal.append((state) => {
    requireSameManifest(state, trust);
    return { events: [released], result: undefined };
  });
  return encryptToTee(client.key, value, random);
}

function absent(): RcarError {
  return new RcarError('ResourceNotFound', 'no such resource');
}
