import {
  type EvidenceEnvelope,
  type TrustedManifest,
  type VerifiedPeer,
} from '@cloister/attestation';
import { encodeHex, equalBytes, type Bytes } from '@cloister/bytes';
import { signCertificateAuthorities } from '@cloister/client';
import {
  parseCertificationRequest,
  sha256,
  spkiFromJwk,
  verifyCertificationRequest,
} from '@cloister/crypto';
import type { Marker } from '@cloister/service';
import { BrokerError } from '../broker-error.ts';
import type { ActiveBroker, Broker } from '../broker.ts';
import type { BrokerEvent } from '../journal/broker-event.ts';
import type { ReleaseMeans } from '../release/release-means.ts';
import { judgeEvidence } from '../trust/judge-evidence.ts';
import { requireSameManifest } from '../trust/manifest-book.ts';
import { certificateSerial, publishedAuthorities } from './authority-vault.ts';
import { createServiceCertificate } from './service-certificate.ts';

/** What a service asks for. */
export interface CertificateOrder {
  readonly evidence: EvidenceEnvelope;
  /** A PKCS #10 request, DER, by an attested key. */
  readonly request: Bytes;
  readonly hours: number;
  /** The service's own nonce: it comes back in what the broker signs. */
  readonly nonce: Bytes;
  /** The request itself, to be taken once. */
  readonly marker?: Marker | undefined;
}

/** What it gets. */
export interface IssuedCertificate {
  /** DER. */
  readonly certificate: Bytes;
  /** The broker's signed statement, which authorities count now. */
  readonly authorities: string;
}

/**
 * Certificates for TLS by an authority of this broker, for keys that are attested and for nothing
 * else (spec/key-broker.md 5.2). Each stands in the log before anybody has it.
 */
export class Certificates {
  readonly #broker: Broker;
  readonly #means: ReleaseMeans;

  constructor(broker: Broker, means: ReleaseMeans) {
    this.#broker = broker;
    this.#means = means;
  }

  /** Verifies the asker and its request, and certifies its key. */
  async issue(order: CertificateOrder): Promise<IssuedCertificate> {
    await this.#broker.refresh();
    const active = this.#broker.requireActive();
    const request = parseCertificationRequest(order.request);
    const peer = await judgeEvidence(order.evidence, {
      manifest: active.trust,
      nonces: this.#means.nonces,
      at: new Date(this.#broker.now() * 1000),
      cache: this.#means.cache,
    });
    if (!(await verifyCertificationRequest(request)))
      throw new BrokerError('possession_not_proven');
    if (!(await isAttested(request.spki, peer))) throw new BrokerError('key_not_attested');
    const certificate = await this.#note(active, peer, request.spki, order);
    return { certificate, authorities: await this.authorities(order.nonce) };
  }

  /** Which authorities count, signed by the broker key of the manifest; the first one is made here. */
  async authorities(nonce?: Bytes): Promise<string> {
    await this.#broker.refresh();
    const { journal, trust, keys, authorities } = this.#broker.requireActive();
    await journal.append(async (state) => {
      requireSameManifest(state, trust);
      const due = await authorities.planDue(state.authorities, this.#terms(trust));
      return due === undefined
        ? { events: [], result: undefined }
        : { events: [due.event], values: due.changes, result: undefined };
    });
    const now = this.#broker.now();
    const published = publishedAuthorities(journal.state.authorities, now);
    const opened = await Promise.all(published.map((record) => authorities.open(record)));
    return signCertificateAuthorities(
      {
        deployment: trust.manifest.deployment,
        party: this.#broker.party,
        manifest: trust.id,
        time: now,
        certificates: opened.map(({ certificate }) => certificate),
        nonce,
      },
      keys.signing,
    );
  }

  #note(
    { journal, authorities, trust }: ActiveBroker,
    peer: VerifiedPeer,
    spki: Bytes,
    { hours, marker }: CertificateOrder,
  ): Promise<Bytes> {
    const { deployment } = trust.manifest;
    return journal.append(async (state) => {
      requireSameManifest(state, trust);
      const terms = this.#terms(trust);
      const due = await authorities.planDue(state.authorities, terms);
      const newest = state.authorities.at(-1);
      const authority =
        due?.authority ?? (newest === undefined ? undefined : await authorities.open(newest));
      if (authority === undefined) throw new BrokerError('busy');
      const serial = certificateSerial(this.#means.random);
      const exp = terms.now + hours * 3600;
      const certificate = await createServiceCertificate({
        authority,
        deployment,
        service: peer.service,
        manifest: trust.id,
        serial,
        spki,
        now: terms.now,
        exp,
      });
      const issued: BrokerEvent = {
        event: 'certificate-issued',
        service: peer.service,
        serial: encodeHex(serial),
        certificate: encodeHex(await sha256(certificate)),
        key: encodeHex(await sha256(spki)),
        generation: authority.generation,
        exp,
        evidence: peer.evidenceDigest,
        simulated: peer.simulated,
        manifest: trust.id,
      };
      return {
        events: due === undefined ? [issued] : [due.event, issued],
        values: due === undefined ? [] : due.changes,
        ...(marker === undefined ? {} : { markers: [marker] }),
        result: certificate,
      };
    });
  }

  #terms({ manifest }: TrustedManifest) {
    return {
      now: this.#broker.now(),
      party: this.#broker.party,
      deployment: manifest.deployment,
    };
  }
}

/** Whether a key is the one that signs for the service, or the one of its TLS (design 2.2). */
async function isAttested(spki: Bytes, { sig, tls }: VerifiedPeer): Promise<boolean> {
  return equalBytes(spki, spkiFromJwk(sig)) || encodeHex(await sha256(spki)) === tls;
}
