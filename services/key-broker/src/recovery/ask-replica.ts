import type { Fetch } from '@cloister/channel';
import { BrokerClient, ClientError, type AttestedIdentity } from '@cloister/client';
import type { Random } from '@cloister/sealing';
import { nodeChannelPrimitives } from '@cloister/service';
import type { Broker } from '../broker.ts';

/** Where a running replica answers, and who asks. */
export interface ReplicaSource {
  readonly url: string;
  readonly identity: () => AttestedIdentity;
  readonly transport: Fetch;
  readonly now: () => Date;
  readonly random: Random;
}

/**
 * Has a sealed broker opened by a running replica of it (spec/key-broker.md 5.3): one that was verified
 * by the manifest of the own store. Gives why that was not done; undefined where the broker is open.
 * A wrong key opens nothing: the state itself says so.
 */
export async function askReplica(
  broker: Broker,
  { url, identity, transport, now, random }: ReplicaSource,
): Promise<string | undefined> {
  const manifest = broker.trust;
  if (broker.opened !== undefined || manifest === undefined) return undefined;
  const primitives = nodeChannelPrimitives();
  const client = new BrokerClient({ baseUrl: url, manifest, transport, now, random, primitives });
  const { party } = broker;
  try {
    const verdict = await client.fetchStateKey({ party, identity: identity() });
    if (!verdict.ok) return verdict.code;
    const key = verdict.claims;
    await broker.unseal(key, { event: 'unsealed', by: 'replica', manifest: manifest.id });
    return undefined;
  } catch (error) {
    // Nobody to be asked, or a replica that cannot serve now: asked again later.
    if (error instanceof ClientError) return error.issues[0]?.code ?? error.code;
    throw error;
  }
}
