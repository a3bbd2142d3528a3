import {
  sealReleasedSecret,
  type EvidenceEnvelope,
  type SecretAgreement,
  type SecretVersion,
  type TrustedManifest,
  type VerifiedPeer,
} from '@cloister/attestation';
import { asBytes, canonicalJson, encodeHex, encodeUtf8, type Bytes } from '@cloister/bytes';
import { jwkThumbprint } from '@cloister/crypto';
import type { Marker, ValueChange } from '@cloister/service';
import { BrokerError } from '../broker-error.ts';
import type { ActiveBroker, Broker } from '../broker.ts';
import type { BrokerEvent } from '../journal/broker-event.ts';
import type { BrokerState, SecretRecord } from '../journal/broker-state.ts';
import type { ReleaseMeans } from './release-means.ts';
import { judgeEvidence } from '../trust/judge-evidence.ts';
import { requireSameManifest } from '../trust/manifest-book.ts';
import { dueVersion } from './secret-schedule.ts';
import { liveVersions } from './secret-vault.ts';

/** What a service asks for. */
export interface LeaseRequest {
  readonly name: string;
  readonly evidence: EvidenceEnvelope;
  /** The service's own nonce: it comes back in what is released. */
  readonly nonce: Bytes;
  /** The lease to renew. */
  readonly lease?: string | undefined;
  /** Asks for a key derived from the secret under this label, and not for the secret. */
  readonly derive?: string | undefined;
  /** The request itself, to be taken once. */
  readonly marker?: Marker | undefined;
}

/** What it gets. */
export interface Lease {
  readonly jwe: string;
  readonly lease: { readonly id: string; readonly epoch: number; readonly exp: number };
}

/** Two versions may be due at once: the first one, and its successor. */
const MOST_DUE = 64;

/** Releases secrets under leases by rule 6 of design 2.1. */
export class Leases {
  readonly #broker: Broker;
  readonly #means: ReleaseMeans;

  constructor(broker: Broker, means: ReleaseMeans) {
    this.#broker = broker;
    this.#means = means;
  }

  /** Verifies the asker, notes the release in the log, and encrypts the secret to its `enc` key. */
  async release(request: LeaseRequest): Promise<Lease> {
    await this.#broker.refresh();
    const active = this.#broker.requireActive();
    const { name, derive } = request;
    const peer = await judgeEvidence(request.evidence, {
      manifest: active.trust,
      nonces: this.#means.nonces,
      at: new Date(this.#broker.now() * 1000),
      cache: this.#means.cache,
    });
    const agreement = agreedSecret(active.trust, this.#broker.party, name);
    if (!agreement.to.includes(peer.service)) throw new BrokerError('secret_not_for_service');
    if (derive !== undefined && agreement.type !== 'aes256')
      throw new BrokerError('not_generated', { detail: 'only from keys of type aes256' });
    const { lease, versions, issued } = await this.#note(active, agreement, peer, request);
    const jwe = await sealReleasedSecret(
      {
        name,
        owner: agreement.owner,
        type: agreement.type,
        service: peer.service,
        manifest: active.trust.id,
        leaseId: lease.id,
        epoch: lease.epoch,
        issued,
        exp: lease.exp,
        enc: await jwkThumbprint(peer.enc),
        nonce: request.nonce,
        versions:
          derive === undefined
            ? versions
            : await Promise.all(versions.map((v) => deriveVersion(v, name, derive, peer.service))),
        ...(derive === undefined ? {} : { derive }),
      },
      { brokerKey: active.keys.signing, enc: peer.enc, random: this.#means.random },
    );
    return { jwe, lease };
  }

  #note(
    { journal, vault, trust }: ActiveBroker,
    agreement: SecretAgreement,
    peer: VerifiedPeer,
    { name, lease: renewed, marker }: LeaseRequest,
  ) {
    const id = renewed ?? encodeHex(this.#means.random(16));
    return journal.append(async (state) => {
      requireSameManifest(state, trust);
      const now = this.#broker.now();
      const epoch = epochOf(state, renewed, name, peer.service);
      // Opened before anything is noted: what a host has spoilt is not released.
      const held = await vault.openLive(name, state.secret(name), now);
      const due = await this.#planDue(state.secret(name), agreement, { name, now, vault, trust });
      const versions = liveVersions(due.secret, now)
        .toReversed()
        .flatMap(({ version, from, until }): SecretVersion[] => {
          const value = due.made.get(version) ?? held.find((one) => one.version === version)?.value;
          const end = until === undefined ? {} : { until };
          return value === undefined ? [] : [{ version, value, from, ...end }];
        });
      const [newest] = versions;
      if (newest === undefined) throw new BrokerError('secret_absent');
      const exp = now + trust.manifest.lease;
      const released: BrokerEvent = {
        event: 'secret-released',
        name,
        version: newest.version,
        service: peer.service,
        via: 'lease',
        lease: id,
        epoch,
        exp,
        evidence: peer.evidenceDigest,
        simulated: peer.simulated,
        manifest: trust.id,
      };
      return {
        events: [...due.events, released],
        values: due.values,
        ...(marker === undefined ? {} : { markers: [marker] }),
        result: { lease: { id, epoch, exp }, versions, issued: now },
      };
    });
  }

  /** The versions that are due, made; and the secret as it is with them. */
  async #planDue(
    before: SecretRecord,
    agreement: SecretAgreement,
    context: { name: string; now: number } & Pick<ActiveBroker, 'vault' | 'trust'>,
  ): Promise<{
    readonly events: readonly BrokerEvent[];
    readonly values: readonly ValueChange[];
    readonly secret: SecretRecord;
    /** The values of the new versions. */
    readonly made: ReadonlyMap<number, Bytes>;
  }> {
    const { name, now, vault, trust } = context;
    const { lease } = trust.manifest;
    const events: BrokerEvent[] = [];
    const values: ValueChange[] = [];
    const made = new Map<number, Bytes>();
    let secret = before;
    while (made.size < MOST_DUE) {
      const due = dueVersion(secret, agreement, { now, lease });
      if (due === undefined) break;
      const value = await vault.generate(agreement, secret.newest + 1, trust.manifest);
      const planned = await vault.plan(name, secret, value, due);
      events.push(planned.event);
      values.push(planned.change);
      secret = withVersion(secret, planned.event);
      made.set(planned.event.version, value);
    }
    return { events, values, secret, made };
  }
}

/** What the manifest says of a secret that this broker releases. */
export function agreedSecret(trust: TrustedManifest, party: string, name: string): SecretAgreement {
  const { secrets = {} } = trust.manifest;
  const agreement = Object.hasOwn(secrets, name) ? secrets[name] : undefined;
  // What another party owns, this broker does not have (rule 7).
  if (agreement?.owner !== party) throw new BrokerError('secret_unknown');
  return agreement;
}

/** The secret after a version was made, as `BrokerState` will have it. */
function withVersion(
  secret: SecretRecord,
  { version, digest, from, retires }: BrokerEvent & { readonly event: 'secret-created' },
): SecretRecord {
  const versions = secret.versions.map((old) => {
    const end = retires.find((retired) => retired.version === old.version);
    return end === undefined ? old : { ...old, until: end.until };
  });
  return { versions: [...versions, { version, digest, from }], newest: version, stale: false };
}

function epochOf(
  state: BrokerState,
  id: string | undefined,
  name: string,
  service: string,
): number {
  if (id === undefined) return 1;
  const lease = state.lease(id);
  if (lease?.name !== name || lease.service !== service) throw new BrokerError('lease_unknown');
  return lease.epoch + 1;
}

/** A key of its own for each label and service: HKDF-SHA-256 (RFC 5869) from one version's value. */
async function deriveVersion(
  version: SecretVersion,
  name: string,
  label: string,
  service: string,
): Promise<SecretVersion> {
  const what = { derived: label, from: name, version: version.version, service };
  const info = encodeUtf8(`cloister derived secret\n${canonicalJson(what)}`);
  const base = await crypto.subtle.importKey('raw', asBytes(version.value), 'HKDF', false, [
    'deriveBits',
  ]);
  const hkdf = { name: 'HKDF', hash: 'SHA-256', salt: new Uint8Array(32), info };
  return { ...version, value: new Uint8Array(await crypto.subtle.deriveBits(hkdf, base, 256)) };
}
