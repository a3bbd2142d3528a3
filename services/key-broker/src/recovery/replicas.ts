import {
  verifyPeer,
  type EvidenceEnvelope,
  type EvidenceSource,
  type VerifiedPeer,
} from '@cloister/attestation';
import { canonicalJson, type Bytes } from '@cloister/bytes';
import { machineOf, sealStateKey } from '@cloister/client';
import { NODE_EVIDENCE_CRYPTO, type Marker } from '@cloister/service';
import { BrokerError } from '../broker-error.ts';
import type { ActiveBroker, Broker } from '../broker.ts';
import type { BrokerEvent } from '../journal/broker-event.ts';
import type { ReleaseMeans } from '../release/release-means.ts';
import { judgeEvidence } from '../trust/judge-evidence.ts';
import { requireSameManifest } from '../trust/manifest-book.ts';

/** What a sealed replica asks with. */
export interface ReplicaRequest {
  /** Whose broker it is. */
  readonly party: string;
  readonly evidence: EvidenceEnvelope;
  /** Its own nonce: it comes back in what is released. */
  readonly nonce: Bytes;
  /** The request itself, to be taken once. */
  readonly marker?: Marker | undefined;
}

type Claims = VerifiedPeer['claims'];

const SERVICE = 'key-broker';

/** What a replica is judged with. */
export interface ReplicaMeans extends ReleaseMeans {
  /** This process's own evidence: what its replicas are compared with. */
  readonly quote: EvidenceSource;
}

/**
 * Gives the key that seals the state to replicas of this very broker (spec/key-broker.md 5.3): the
 * same code, by fresh evidence under the manifest in force, on a machine that the party's quorum has
 * admitted. Code alone would not do: anybody can run it, on a copy of this party's disk.
 */
export class Replicas {
  readonly #broker: Broker;
  readonly #options: ReplicaMeans;

  constructor(broker: Broker, options: ReplicaMeans) {
    this.#broker = broker;
    this.#options = options;
  }

  /** Admits a machine, or drops it, on the word of the party. */
  async admit(
    machine: string,
    { admitted, signers }: { readonly admitted: boolean; readonly signers: readonly string[] },
  ): Promise<void> {
    const { journal, trust } = this.#broker.requireActive();
    await journal.append((state) => {
      requireSameManifest(state, trust);
      if (state.machines.has(machine) === admitted) return { events: [], result: undefined };
      return {
        events: [{ event: 'machine-admitted', machine, admitted, signers: [...signers] }],
        result: undefined,
      };
    });
  }

  /** Verifies a replica, notes the release in the log, and encrypts the state key to it. */
  async release({ party, evidence, nonce, marker }: ReplicaRequest): Promise<string> {
    const broker = this.#broker;
    await broker.refresh();
    const active = broker.requireActive();
    if (party !== broker.party)
      throw new BrokerError('replica_refused', { reason: 'another_party' });
    const { nonces, cache, random } = this.#options;
    const at = new Date(broker.now() * 1000);
    const peer = await judgeEvidence(evidence, { manifest: active.trust, nonces, at, cache });
    if (peer.service !== SERVICE)
      throw new BrokerError('replica_refused', { reason: 'another_service' });
    if (!isSameCode(peer.claims, await this.#ownClaims(active, at)))
      throw new BrokerError('replica_refused', { reason: 'other_code' });
    const machine = machineOf(peer);
    if (machine === undefined)
      throw new BrokerError('replica_refused', { reason: 'machine_unknown' });
    const { trust, keys, journal } = active;
    const given: BrokerEvent = {
      event: 'replica-unsealed',
      machine,
      evidence: peer.evidenceDigest,
      simulated: peer.simulated,
      manifest: trust.id,
    };
    await journal.append((state) => {
      requireSameManifest(state, trust);
      if (!state.machines.has(machine))
        throw new BrokerError('replica_refused', { reason: 'machine_not_admitted' });
      const markers = marker === undefined ? {} : { markers: [marker] };
      return { events: [given], ...markers, result: undefined };
    });
    const { deployment } = trust.manifest;
    return sealStateKey(
      { deployment, party, manifest: trust.id, nonce, key: keys.seal.stateKey },
      { brokerKey: keys.signing, enc: peer.enc, random },
    );
  }

  async #ownClaims({ trust }: ActiveBroker, at: Date): Promise<Claims> {
    const { quote, cache } = this.#options;
    const crypto = NODE_EVIDENCE_CRYPTO;
    const own = await quote.evidence();
    const how = { manifest: trust, service: SERVICE, at, cache, crypto };
    const verdict = await verifyPeer(own, how);
    if (!verdict.ok) throw new BrokerError('replica_refused', { reason: 'own_evidence' });
    return verdict.claims.claims;
  }
}

/** Whether two pieces of evidence are of the same code, to the byte: the manifest may admit several. */
export function isSameCode(one: Claims, other: Claims): boolean {
  const code = codeOf(one);
  return code !== undefined && code === codeOf(other);
}

/** What of the claims says which code it is; undefined where they do not. */
function codeOf(claims: Claims): string | undefined {
  const { tee } = claims;
  if (tee === 'sgx')
    return canonicalJson([tee, claims.mrenclave, claims.isvProdId, claims.configId]);
  if (tee === 'tdx') return canonicalJson([tee, claims.mrtd, [...claims.rtmrs], claims.mrconfigid]);
  if (tee === 'snp') return canonicalJson([tee, claims.measurement, claims.hostData]);
  // The hardware measures Azure's paravisor, which is the same for all: the PCRs say what runs in it.
  const machine = codeOf(claims.hardware);
  if (machine === undefined || Object.keys(claims.pcrs).length === 0) return undefined;
  return canonicalJson([tee, machine, { ...claims.pcrs }]);
}
