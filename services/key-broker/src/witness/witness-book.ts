import {
  signWitnessStatement,
  verifyHead,
  type TrustedManifest,
  type VerifiedHead,
} from '@cloister/attestation';
import { decodeHex, decodeUtf8, encodeUtf8, isJsonObject, type Bytes } from '@cloister/bytes';
import { verifyMerkleConsistency } from '@cloister/crypto';
import type { Store } from '@cloister/service';
import { BrokerError } from '../broker-error.ts';
import type { Journal } from '../journal/journal.ts';
import type { BrokerKeys } from '../keys/broker-keys.ts';
import { verifyPartyStatement } from '../trust/party-statement.ts';

/** What another broker asks its witness. */
export interface WitnessQuestion {
  /** Whose broker asks. */
  readonly party: string;
  readonly nonce: Bytes;
  /** Its newest head; without one it only asks what was seen. */
  readonly head?: string | undefined;
  /** That its log contains the one seen last (RFC 9162, 2.1.4). */
  readonly proof?: readonly Bytes[] | undefined;
  /** What its party's quorum said, where the log does not contain the one seen last. */
  readonly override?: readonly string[] | undefined;
}

/**
 * A broker as the witness of others (design 3.2): it keeps the newest head that it has seen of each,
 * and takes a later one only with a proof that nothing before it was changed.
 */
export class WitnessBook {
  readonly #store: Store;
  readonly #party: string;

  constructor(store: Store, party: string) {
    this.#store = store;
    this.#party = party;
  }

  /** Answers with a signed statement of what was seen last, this question's head included. */
  async answer(
    question: WitnessQuestion,
    { manifest, keys, journal }: { manifest: TrustedManifest; keys: BrokerKeys; journal: Journal },
  ): Promise<string> {
    const { party, nonce, head } = question;
    if (manifest.manifest.parties[party]?.broker?.witness !== this.#party)
      throw new BrokerError('statement_refused', { detail: 'this broker is not its witness' });
    const seen = await journal.append(async () => {
      const place = `witnessed/${party}`;
      const stored = await this.#store.value(place);
      const before =
        stored.value === undefined
          ? undefined
          : decodeUtf8(await keys.seal.open(place, stored.value));
      if (head === undefined || head === before) return { events: [], result: before };
      await this.#judge(question, head, before, manifest);
      const value = await keys.seal.seal(place, encodeUtf8(head));
      const values = [{ key: place, version: stored.version, value }];
      return { events: [], values, result: head };
    });
    const { deployment } = manifest.manifest;
    const time = journal.now();
    return signWitnessStatement(
      { deployment, party: this.#party, of: party, nonce, time, ...(seen && { seen }) },
      keys.signing,
    );
  }

  /** Whether this head may be the one seen last from now on; BrokerError where it may not. */
  async #judge(
    { party, proof = [], override }: WitnessQuestion,
    jws: string,
    seen: string | undefined,
    manifest: TrustedManifest,
  ): Promise<void> {
    const verdict = await verifyHead(jws, { manifest, party });
    if (!verdict.ok)
      throw new BrokerError('statement_refused', { reason: verdict.code, checks: verdict.checks });
    if (seen === undefined) return;
    const before = await verifyHead(seen, { manifest, party });
    // A head by a key that the manifest no longer names: its broker has ended.
    if (!before.ok) return;
    const [last, next] = [before.claims, verdict.claims];
    if (override !== undefined && (await abandons(override, last, next, manifest))) return;
    const grown =
      next.logSize >= last.logSize &&
      next.time >= last.time &&
      next.serial >= last.serial &&
      (await contains(next, last, proof));
    // What was seen stands in the statement that the asker can have without a head.
    if (!grown) throw new BrokerError('witness_contradiction');
  }
}

async function contains(
  next: VerifiedHead,
  before: VerifiedHead,
  proof: readonly Bytes[],
): Promise<boolean> {
  if (next.logSize === before.logSize) return next.logRoot === before.logRoot;
  if (before.logSize === 0) return true;
  return verifyMerkleConsistency({
    size1: before.logSize,
    root1: decodeHex(before.logRoot),
    size2: next.logSize,
    root2: decodeHex(next.logRoot),
    proof,
  });
}

/** Whether the party's quorum gave up the very head that was seen last. */
async function abandons(
  statements: readonly string[],
  before: VerifiedHead,
  next: VerifiedHead,
  manifest: TrustedManifest,
): Promise<boolean> {
  const { payload } = await verifyPartyStatement(statements, {
    purpose: 'override-witness',
    party: next.party,
    manifest,
  });
  const { abandoned, logSize } = payload;
  return (
    isJsonObject(abandoned) &&
    abandoned['logSize'] === before.logSize &&
    abandoned['logRoot'] === before.logRoot &&
    typeof logSize === 'number' &&
    logSize <= next.logSize
  );
}
