import {
  encodeEnvelope,
  openReleasedSecret,
  verifyCounterReceipt,
  type CounterReceipt,
  type EvidenceEnvelope,
  type EvidenceSource,
  type ReleasedSecret,
  type Verification,
} from '@cloister/attestation';
import {
  decodeBase64url,
  encodeBase64url,
  encodeHex,
  type Bytes,
  type JsonObject,
} from '@cloister/bytes';
import { parseJwk, sha256, type Jwk } from '@cloister/crypto';
import {
  certifyKey,
  type CertificateQuery,
  type CertifiedKey,
  type CertifyMeans,
} from './broker-certify.ts';
import {
  BrokerChannel,
  isRefusal,
  refusedVerification,
  type BrokerAddress,
  type BrokerRefusal,
} from './broker-channel.ts';
import { openStateKey } from './broker-replica.ts';
import { signPartyStatement, type PartyPurpose, type PartyStatement } from './broker-statement.ts';
import { ClientError } from './client-error.ts';
import { readAnswer, textOf } from './fields.ts';

/** A service as a broker sees it: evidence over the broker's nonce, and the key in it. */
export interface AttestedIdentity extends Pick<EvidenceSource, 'evidence'> {
  readonly encKey: CryptoKeyPair;
}

/** What a service asks its broker for. */
export interface SecretQuery {
  readonly name: string;
  /** The service that asks, as the manifest names it. */
  readonly service: string;
  readonly identity: AttestedIdentity;
  /** A key of its own under this label, derived from the secret. */
  readonly derive?: string | undefined;
  /** The newest version that was seen before: an older one is refused. */
  readonly lowestVersion?: number | undefined;
}

/** One party as its broker hears it: what more than half of its keys sign. */
export interface PartyVoice {
  readonly party: string;
  /** The party's private keys that are at hand. */
  readonly keys: readonly CryptoKey[];
  /** Brings what people elsewhere signed: the same statement, a compact JWS by each (`signPartyStatement`). */
  readonly others?: (statement: PartyStatement) => Promise<readonly string[]>;
}

/** A counter's next step. */
export interface CounterMove {
  readonly expected: number;
  readonly next: number;
  /** SHA-256 of what is anchored, lower hex. */
  readonly digest: string;
}

const NONCE_LENGTH = 32;

/**
 * Client of a key broker (spec/key-broker.md 5.2). What is refused is a verification that failed,
 * with the broker's code; where nobody could be asked, ClientError.
 */
export class BrokerClient {
  readonly #address: BrokerAddress;
  readonly #channel: BrokerChannel;

  constructor(address: BrokerAddress) {
    const baseUrl = address.baseUrl.replace(/\/+$/, '');
    this.#address = { ...address, baseUrl };
    this.#channel = new BrokerChannel(this.#address);
  }

  /** Verifies the broker and opens the channel to it, unless that was done; the checks say why not. */
  open(): Promise<Verification<undefined>> {
    return this.#channel.open();
  }

  /** Asks for a secret, and gives it only where rule 6 of design 2.1 holds: install nothing else. */
  fetchSecret(query: SecretQuery): Promise<Verification<ReleasedSecret>> {
    return this.#lease(query, undefined);
  }

  /** Renews a lease: fresh evidence, the next epoch, and the versions that there are by now. */
  renewLease(query: SecretQuery, held: ReleasedSecret): Promise<Verification<ReleasedSecret>> {
    const lowestVersion = query.lowestVersion ?? held.versions[0]?.version;
    return this.#lease({ ...query, lowestVersion }, held.leaseId);
  }

  /**
   * Has an attested key certified for TLS (spec/key-broker.md 5.2): the certificate, and the
   * authorities by which relying parties judge it, verified by the broker key of the manifest.
   */
  certify(query: CertificateQuery): Promise<Verification<CertifiedKey>> {
    return certifyKey(query, this.#means());
  }

  /** Asks a running replica of one's own broker for the key that seals its state (spec/key-broker.md 5.3). */
  async fetchStateKey({
    party,
    identity,
  }: {
    readonly party: string;
    readonly identity: AttestedIdentity;
  }): Promise<Verification<Bytes>> {
    const opened = await this.#channel.open();
    if (!opened.ok) return opened;
    const { manifest, random } = this.#address;
    const challenge = await this.#challenge();
    if ('status' in challenge) return refusedVerification(challenge);
    const nonce = random(NONCE_LENGTH);
    const answer = await this.#channel.call('POST', '/v1/replicas/state-key', {
      party,
      evidence: encodeEnvelope(await identity.evidence(challenge)),
      nonce: encodeBase64url(nonce),
    });
    if (isRefusal(answer)) return refusedVerification(answer);
    const jwe = readAnswer('state key', () => textOf(answer, 'jwe'));
    const decryptKey = identity.encKey.privateKey;
    const verdict = await openStateKey(jwe, { manifest, party, nonce, decryptKey });
    return { ...verdict, checks: [...opened.checks, ...verdict.checks] };
  }

  /** Where a counter stands, over a nonce of our own. */
  readCounter(name: string): Promise<Verification<CounterReceipt>> {
    return this.#counter(`/v1/counters/${name}/read`, name, {});
  }

  /**
   * Moves a counter. Code `counter_conflict`: another was first; `receipt` in `onConflict` is where the
   * counter stands, verified.
   */
  advanceCounter(
    name: string,
    { expected, next, digest }: CounterMove,
    onConflict?: (where: CounterReceipt) => void,
  ): Promise<Verification<CounterReceipt>> {
    const move = { expected, next, digest };
    return this.#counter(`/v1/counters/${name}`, name, move, onConflict);
  }

  /** Makes the next version of a generated secret: the old one stays until it is destroyed. */
  async rotateSecret(name: string): Promise<number> {
    const answer = this.#expect(await this.#channel.call('POST', `/v1/secrets/${name}/rotate`, {}));
    return versionOf(answer);
  }

  /** Has a version destroyed that was replaced: what it opened, nobody opens any more. */
  async destroyVersion(name: string, version: number): Promise<void> {
    const path = `/v1/secrets/${name}/versions/${version}`;
    this.#expect(await this.#channel.call('DELETE', path));
  }

  /** Which check and which predicate refuse this evidence, and which secrets there would be. */
  async explain(evidence: EvidenceEnvelope, service?: string): Promise<JsonObject> {
    const body = {
      evidence: encodeEnvelope(evidence),
      ...(service === undefined ? {} : { service }),
    };
    return this.#expect(await this.#channel.call('POST', '/v1/explain', body));
  }

  /** In which state the broker is. */
  async state(): Promise<JsonObject> {
    return this.#expect(await this.#channel.call('GET', '/v1/state'));
  }

  /** Imports a secret of the party's own; gives its version. */
  async importSecret(name: string, value: Bytes, voice: PartyVoice): Promise<number> {
    const digest = encodeHex(await sha256(value));
    const statements = await this.#say('import-secret', voice, { name, digest });
    const body = { statements, value: encodeBase64url(value) };
    return versionOf(this.#expect(await this.#channel.call('PUT', `/v1/secrets/${name}`, body)));
  }

  /** Makes the next version of a generated secret, on the word of the party. */
  async replaceSecret(name: string, voice: PartyVoice): Promise<number> {
    const statements = await this.#say('rotate-secret', voice, { name });
    const path = `/v1/party/secrets/${name}/rotate`;
    return versionOf(this.#expect(await this.#channel.call('POST', path, { statements })));
  }

  /** Has a version destroyed that was replaced, on the word of the party. */
  async destroySecret(name: string, version: number, voice: PartyVoice): Promise<void> {
    const statements = await this.#say('destroy-secret', voice, { name, version });
    const path = `/v1/party/secrets/${name}/destroy`;
    this.#expect(await this.#channel.call('POST', path, { statements }));
  }

  /** The secrets that this broker holds, with their versions; no values. */
  async secrets(): Promise<JsonObject> {
    return this.#expect(await this.#channel.call('GET', '/v1/secrets'));
  }

  /** Makes the shares of a recovery set: one JWE for each person, by their RSA keys. */
  async makeRecoverySet(
    k: number,
    recipients: readonly Jwk[],
    voice: PartyVoice,
  ): Promise<readonly string[]> {
    const people = recipients.map((key) => ({ ...key }));
    const statements = await this.#say('recovery-set', voice, { k, recipients: people });
    const answer = this.#expect(
      await this.#channel.call('POST', '/v1/recovery/set', { statements }),
    );
    const shares = answer['shares'];
    if (!Array.isArray(shares)) throw new ClientError('malformed_answer', 'recovery set');
    return shares.map(String);
  }

  /** Admits a machine for replicas of the broker, or drops it, on the word of the party (see `machineOf`). */
  async admitMachine(machine: string, admitted: boolean, voice: PartyVoice): Promise<void> {
    const statements = await this.#say('admit-machine', voice, { machine, admitted });
    this.#expect(await this.#channel.call('POST', '/v1/party/machines', { statements }));
  }

  /** Hands a share to a sealed broker that was verified. */
  async addShare(share: JsonObject): Promise<JsonObject> {
    return this.#expect(await this.#channel.call('POST', '/v1/recovery/shares', { share }));
  }

  /** Sets a counter on the word of the party: the audited way out after a restored backup. */
  async resetCounter(
    name: string,
    reset: {
      readonly from: number;
      readonly value: number;
      readonly digest: string;
      readonly reason: string;
    },
    voice: PartyVoice,
  ): Promise<void> {
    const statements = await this.#say('reset-counter', voice, { name, ...reset });
    this.#expect(await this.#channel.call('POST', `/v1/counters/${name}/reset`, { statements }));
  }

  /**
   * Lets a broker serve that is behind its witness, on the word of the party. It names both what is
   * given up and what is gone on with, as the broker's own state says.
   */
  async overrideWitness(reason: string, voice: PartyVoice): Promise<JsonObject> {
    const { witnessed = null, logSize = 0, logRoot = '' } = await this.state();
    const abandoned =
      typeof witnessed === 'object' && witnessed !== null && !Array.isArray(witnessed)
        ? { logSize: witnessed['logSize'] ?? 0, logRoot: witnessed['logRoot'] ?? '' }
        : null;
    const said = { abandoned, logSize, logRoot, reason };
    const statements = await this.#say('override-witness', voice, said);
    return this.#expect(await this.#channel.call('POST', '/v1/override', { statements }));
  }

  async #lease(
    query: SecretQuery,
    lease: string | undefined,
  ): Promise<Verification<ReleasedSecret>> {
    const { name, service, identity, derive, lowestVersion } = query;
    const opened = await this.#channel.open();
    if (!opened.ok) return opened;
    const { manifest, now, random } = this.#address;
    const challenge = await this.#challenge();
    if ('status' in challenge) return refusedVerification(challenge);
    const nonce = random(NONCE_LENGTH);
    const answer = await this.#channel.call('POST', `/v1/leases/${name}`, {
      evidence: encodeEnvelope(await identity.evidence(challenge)),
      nonce: encodeBase64url(nonce),
      ...(lease === undefined ? {} : { lease }),
      ...(derive === undefined ? {} : { derive }),
    });
    if (isRefusal(answer)) return refusedVerification(answer);
    const verdict = await openReleasedSecret(
      readAnswer('lease', () => textOf(answer, 'jwe')),
      {
        manifest,
        name,
        service,
        decryptKey: identity.encKey.privateKey,
        enc: await publicJwk(identity.encKey.publicKey),
        nonce,
        at: now(),
        derive,
        lowestVersion,
      },
    );
    return { ...verdict, checks: [...opened.checks, ...verdict.checks] };
  }

  async #counter(
    path: string,
    name: string,
    body: JsonObject,
    onConflict?: (where: CounterReceipt) => void,
  ): Promise<Verification<CounterReceipt>> {
    const { manifest, random } = this.#address;
    const nonce = random(NONCE_LENGTH);
    const answer = await this.#channel.call('POST', path, {
      ...body,
      nonce: encodeBase64url(nonce),
    });
    const verify = (jws: string) => verifyCounterReceipt(jws, { manifest, name, nonce });
    if (!isRefusal(answer)) return verify(readAnswer('counter', () => textOf(answer, 'receipt')));
    const { receipt } = answer.body;
    if (typeof receipt === 'string') {
      const where = await verify(receipt);
      if (where.ok) onConflict?.(where.claims);
    }
    return refusedVerification(answer);
  }

  #means(): CertifyMeans {
    const { manifest, now, random } = this.#address;
    const channel = this.#channel;
    return { manifest, now, random, channel, challenge: () => this.#challenge() };
  }

  async #challenge(path = '/v1/challenge'): Promise<Bytes | BrokerRefusal> {
    const answer = await this.#channel.call('POST', path, {});
    if (isRefusal(answer)) return answer;
    return readAnswer('challenge', () => decodeBase64url(textOf(answer, 'nonce'), 'nonce'));
  }

  async #say(purpose: PartyPurpose, voice: PartyVoice, what: JsonObject): Promise<string[]> {
    const challenge = await this.#challenge('/v1/challenge/party');
    if ('status' in challenge) throw refused(challenge);
    const { manifest } = this.#address;
    const nonce = encodeBase64url(challenge);
    const statement = { ...what, purpose, party: voice.party, manifest: manifest.id, nonce };
    const own = await Promise.all(voice.keys.map((key) => signPartyStatement(statement, key)));
    return [...own, ...((await voice.others?.(statement)) ?? [])];
  }

  #expect(answer: JsonObject | BrokerRefusal): JsonObject {
    if (isRefusal(answer)) throw refused(answer);
    return answer;
  }
}

/** Asks a broker for one secret; see `BrokerClient.fetchSecret`. */
export function fetchSecret(
  options: BrokerAddress & SecretQuery,
): Promise<Verification<ReleasedSecret>> {
  return new BrokerClient(options).fetchSecret(options);
}

/** The key to use for what is new at a time: the newest version that has begun. */
export function currentVersion(
  { versions }: Pick<ReleasedSecret, 'versions'>,
  at: Date,
): ReleasedSecret['versions'][number] | undefined {
  const now = at.getTime() / 1000;
  return versions.find(({ from, until }) => from <= now && (until === undefined || until > now));
}

function refused({ code, status }: BrokerRefusal): ClientError {
  return new ClientError('refused', `key broker: ${code}`, { status, issues: [{ code }] });
}

function versionOf(answer: JsonObject): number {
  const { version } = answer;
  if (typeof version !== 'number') throw new ClientError('malformed_answer', 'secret version');
  return version;
}

async function publicJwk(key: CryptoKey): Promise<Jwk> {
  const { kty = '', n = '', e = '' } = await crypto.subtle.exportKey('jwk', key);
  return parseJwk({ kty, n, e });
}
