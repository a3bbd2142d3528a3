import { brokerKeyOf, type TrustedManifest } from '@cloister/attestation';
import type { JsonObject } from '@cloister/bytes';
import type { Fetch } from '@cloister/channel';
import { BrokerClient, ClientError } from '@cloister/client';
import { jwkThumbprint } from '@cloister/crypto';
import { nodeChannelPrimitives } from '@cloister/service';
import { random } from '../local-trust.ts';
import { RefusedError } from './refused-error.ts';
import { wordOf } from './safe-word.ts';

/** How a broker is reached, and what time it is. */
export interface BrokerMeans {
  readonly transport: Fetch;
  readonly now: () => Date;
}

/** A party's broker that was verified, and in which state it says it is. */
export interface OpenedBroker {
  readonly client: BrokerClient;
  readonly state: JsonObject;
}

/**
 * Opens the channel to a party's broker. First it must be code that the manifest admits, in fresh
 * evidence; then it must be this party's, by the broker key that the manifest names: genuine code with foreign
 * keys is somebody else's broker. A sealed one has no key yet: its code answers for it.
 */
export async function openBroker(
  url: string,
  { manifest, party }: { readonly manifest: TrustedManifest; readonly party: string },
  { transport, now }: BrokerMeans,
): Promise<OpenedBroker> {
  const primitives = nodeChannelPrimitives();
  const client = new BrokerClient({ baseUrl: url, manifest, transport, now, random, primitives });
  const verdict = await client.open();
  if (!verdict.ok)
    throw new RefusedError(verdict.code, `${url} was not shown to be a broker of this manifest`, {
      checks: verdict.checks,
    });
  const state = await client.state();
  if (state['party'] !== party)
    throw new RefusedError('another_party', `that is the broker of ${wordOf(state['party'])}`);
  const named = brokerKeyOf(manifest, party);
  if (named === undefined)
    throw new RefusedError('broker_unknown', `the manifest names no broker of ${party}`);
  const { brokerKey } = state;
  if (brokerKey !== (await jwkThumbprint(named)) && state['state'] !== 'sealed')
    throw new RefusedError('sender_foreign', `its key is not the one that the manifest names`);
  return { client, state };
}

/** What a broker does not do, or cannot do now, in words; undefined where it was something else. */
export function refusalOf(error: unknown): RefusedError | undefined {
  if (error instanceof RefusedError) return error;
  if (!(error instanceof ClientError)) return undefined;
  const code = error.issues[0]?.code;
  if (code === undefined) return undefined;
  return new RefusedError(code, HINTS.get(code) ?? code.replaceAll('_', ' '), { cause: error });
}

/** What to do about it, where that is known. */
const HINTS: ReadonlyMap<string, string> = new Map([
  [
    'party_quorum_missing',
    'more than half of the party\u2019s keys must sign: --key for each at hand, --collect for those elsewhere',
  ],
  [
    'statement_refused',
    'the broker does not take that statement: wrong party, wrong key, or the state has changed since',
  ],
  [
    'nonce_unknown',
    'the statement is too old, was used already, or the broker was started since: begin again',
  ],
  [
    'sealed',
    'this machine cannot unseal its state: people with shares open it (cloister broker share)',
  ],
  [
    'behind_witness',
    'its disk is older than what its witness saw: find the newest, or cloister broker override',
  ],
  ['awaiting_witness', 'it waits for its witness'],
  ['awaiting_quorum', 'its manifest waits for signatures (cloister broker state)'],
  ['uninitialised', 'it has no manifest yet (cloister broker activate)'],
  ['already_active', 'it is active: there is nothing to open or to override'],
  ['not_importable', 'this broker makes that secret itself: rotate it'],
  ['not_generated', 'that secret is its owner\u2019s: import the next version'],
  ['secret_unknown', 'the manifest lists no such secret of this party'],
  ['secret_absent', 'there is no version of it yet'],
  ['version_unknown', 'only a version that is there, and was replaced, can be destroyed'],
  ['counter_unknown', 'the manifest lists no such counter of this party'],
  [
    'counter_conflict',
    'the counter does not stand where you say: look first (cloister broker counter)',
  ],
  ['share_of_another_set', 'that share is of an older set: only the newest one opens this broker'],
  ['share_invalid', 'that share was changed'],
  ['share_repeated', 'that share was handed in already'],
  ['no_recovery_set', 'this broker has no recovery set: only its old machine opens it'],
  ['recovery_failed', 'the shares do not give the key of this state'],
  ['replica_refused', 'the state key is not given to that'],
  ['manifest_changed', 'another manifest came into force just now: look at it, and try again'],
]);
