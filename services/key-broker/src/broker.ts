import type { Head, ManifestFile, TrustedManifest } from '@cloister/attestation';
import { encodeHex, type Bytes } from '@cloister/bytes';
import { TamperedError } from '@cloister/sealing';
import { BrokerError, type BrokerCode } from './broker-error.ts';
import { AuthorityVault } from './certificates/authority-vault.ts';
import { Heads, sign, type IssuedHead } from './heads.ts';
import type { BrokerEvent } from './journal/broker-event.ts';
import { Journal } from './journal/journal.ts';
import { openKeys, recoverKeys, type BrokerKeys, type KeyPlaces } from './keys/broker-keys.ts';
import { planReplacements } from './release/plan-replacements.ts';
import { SecretVault } from './release/secret-vault.ts';
import { ManifestBook, type Judgement, type PendingManifest } from './trust/manifest-book.ts';
import { WitnessGate, type GateOptions } from './witness/witness-gate.ts';
import { WitnessBook } from './witness/witness-book.ts';

/** The states of a broker (spec/key-broker.md 5.3), the two of the witness set apart. */
export type BrokerPhase =
  | 'uninitialised'
  | 'awaiting-quorum'
  | 'awaiting-witness'
  | 'behind-witness'
  | 'active'
  | 'sealed';

/** What a broker is made with. */
export interface BrokerOptions extends KeyPlaces, Pick<GateOptions, 'transport'> {
  readonly now: () => Date;
  /** Where the witness answers. */
  readonly witness?: string | undefined;
  /** Told after another manifest came into force. */
  readonly onManifest?: (manifest: TrustedManifest) => Promise<void>;
}

/** What serves while a broker is open: its keys, its log, its secrets. */
export interface OpenBroker {
  readonly keys: BrokerKeys;
  readonly journal: Journal;
  readonly vault: SecretVault;
  readonly authorities: AuthorityVault;
}

/** What serves while a broker is active: besides, the manifest in force. */
export interface ActiveBroker extends OpenBroker {
  readonly trust: TrustedManifest;
}

/** What came of a manifest that was handed in. */
export type Activation =
  | { readonly active: string; readonly serial: number }
  | { readonly pending: PendingManifest };

const REFUSALS: Readonly<Record<Exclude<BrokerPhase, 'active'>, BrokerCode>> = {
  uninitialised: 'uninitialised',
  'awaiting-quorum': 'awaiting_quorum',
  'awaiting-witness': 'awaiting_witness',
  'behind-witness': 'behind_witness',
  sealed: 'sealed',
};

/** The broker of one party: what holds all of its parts, and the state that they are in. */
export class Broker {
  readonly party: string;
  readonly heads: Heads = new Heads();
  readonly book: ManifestBook;
  readonly witnesses: WitnessBook;
  readonly gate: WitnessGate;
  readonly #options: BrokerOptions;
  #open: OpenBroker | undefined;
  #trust: TrustedManifest | undefined;
  #pending: PendingManifest | undefined;

  private constructor(options: BrokerOptions) {
    const { party, store, witness, transport, random } = options;
    this.#options = options;
    this.party = party;
    this.book = new ManifestBook(store, party);
    this.witnesses = new WitnessBook(store, party);
    this.gate = new WitnessGate({
      party,
      url: witness,
      transport,
      random,
      journal: () => this.requireOpen().journal,
      manifest: () => this.requireTrust(),
      head: () => this.#sign(),
    });
  }

  /** Opens a party's broker: as far as this platform can unseal it. */
  static async open(options: BrokerOptions): Promise<Broker> {
    const broker = new Broker(options);
    const keys = await openKeys(options);
    // Sealed, its manifests can be read all the same: they are public, and signed.
    if (keys === undefined) broker.#trust = await broker.book.load();
    else await broker.#unlock(keys);
    broker.#pending = await broker.book.pending();
    return broker;
  }

  get phase(): BrokerPhase {
    if (this.#open === undefined) return 'sealed';
    if (this.#trust === undefined)
      return this.#pending === undefined ? 'uninitialised' : 'awaiting-quorum';
    const { standing } = this.gate;
    if (standing === 'confirmed') return 'active';
    return standing === 'behind' ? 'behind-witness' : 'awaiting-witness';
  }

  /** The manifest in force; in every state, where there is one. */
  get trust(): TrustedManifest | undefined {
    return this.#trust;
  }

  get pending(): PendingManifest | undefined {
    return this.#pending;
  }

  get opened(): OpenBroker | undefined {
    return this.#open;
  }

  /** The parts of an active broker; BrokerError says in which state it is instead. */
  requireActive(): ActiveBroker {
    const { phase } = this;
    if (phase !== 'active') throw new BrokerError(REFUSALS[phase]);
    return { ...this.requireOpen(), trust: this.requireTrust() };
  }

  /** The parts that there are before the witness has spoken. */
  requireOpen(): OpenBroker {
    if (this.#open === undefined) throw new BrokerError('sealed');
    return this.#open;
  }

  requireTrust(): TrustedManifest {
    if (this.#trust === undefined) throw new BrokerError('manifest_absent');
    return this.#trust;
  }

  /** The host's time in seconds, or the newest that this broker knows of. */
  now(): number {
    const host = Math.floor(this.#options.now().getTime() / 1000);
    const known = Math.max(this.heads.newest?.time ?? 0, this.gate.seen?.time ?? 0);
    return Math.max(host, known, this.#open?.journal.state.last ?? 0);
  }

  /** Puts a manifest in force, or keeps it until enough parties have signed (rules 1 and 2). */
  async activate(file: ManifestFile): Promise<Activation> {
    const { keys, journal, vault, authorities } = this.requireOpen();
    const outcome = await journal.append<Judgement>(async (state) => {
      await this.#followLog(journal);
      const current = this.#trust;
      const judgement = await this.book.judge(file, current, keys.jwk);
      if (judgement.kind === 'same') return { events: [], result: judgement };
      if (judgement.kind === 'pending') {
        const values = [await this.book.planPending(judgement.file)];
        return { events: [], values, result: judgement };
      }
      const { trusted } = judgement;
      const { id, signers, manifest } = trusted;
      const complete = await this.book.gather(file);
      const event: BrokerEvent = {
        event: 'manifest-activated',
        id,
        serial: manifest.serial,
        signers: [...signers],
      };
      const replaced = await planReplacements({
        state,
        vault,
        authorities,
        before: current?.manifest,
        after: manifest,
        party: this.party,
        now: this.now(),
      });
      return {
        events: [event, ...replaced.events],
        values: [...(await this.book.planActive(complete)), ...replaced.values],
        result: judgement,
      };
    });
    if (outcome.kind === 'pending') {
      this.#pending = outcome.pending;
      return { pending: outcome.pending };
    }
    this.#pending = await this.book.pending();
    if (outcome.kind === 'active') await this.#adopt(outcome.trusted);
    return { active: outcome.trusted.id, serial: outcome.trusted.manifest.serial };
  }

  /** Opens a sealed broker with the state key that its people's shares, or a replica, gave; the log says which. */
  async unseal(
    stateKey: Uint8Array<ArrayBuffer>,
    how: BrokerEvent & { readonly event: 'recovered' | 'unsealed' },
  ): Promise<void> {
    if (this.#open !== undefined) throw new BrokerError('already_active');
    let keys: BrokerKeys;
    try {
      keys = await recoverKeys(this.#options, stateKey);
    } catch (error) {
      if (!(error instanceof TamperedError)) throw error;
      throw new BrokerError('recovery_failed', {}, { cause: error });
    }
    await this.#unlock(keys);
    await this.requireOpen().journal.append(() => ({
      events: [how],
      result: undefined,
    }));
  }

  /**
   * Serves again on the word of the party's quorum, which knows what it gives up: the head that the
   * witness saw, for the log as it is now. The log says so, and the witness is told.
   */
  async override(
    said: {
      readonly abandoned: { readonly logSize: number; readonly logRoot: string } | null;
      readonly logSize: number;
      readonly logRoot: string;
      readonly reason: string;
    },
    statements: readonly string[],
    signers: readonly string[],
  ): Promise<void> {
    if (this.phase !== 'behind-witness' && this.phase !== 'awaiting-witness')
      throw new BrokerError('already_active');
    const { journal } = this.requireOpen();
    const { seen } = this.gate;
    const { abandoned, reason } = said;
    if (abandoned?.logSize !== seen?.logSize || abandoned?.logRoot !== seen?.logRoot)
      throw new BrokerError('statement_refused', { detail: 'not the head that the witness saw' });
    await journal.append(() => {
      const { tree } = journal;
      if (said.logSize !== tree.size || said.logRoot !== encodeHex(tree.root()))
        throw new BrokerError('statement_refused', { detail: 'not the log as it is now' });
      return {
        events: [{ event: 'witness-overridden', abandoned, reason, signers: [...signers] }],
        result: undefined,
      };
    });
    this.gate.override(statements);
    await this.gate.check();
    await this.issueHead();
  }

  /** Reads what other processes of this broker wrote, a newer manifest among it. */
  async refresh(): Promise<void> {
    const { journal } = this.requireOpen();
    await journal.refresh();
    await this.#followLog(journal);
  }

  /** Signs the next head for everybody; undefined before there is a manifest, or while sealed. */
  async issueHead(): Promise<IssuedHead | undefined> {
    if (this.#open === undefined || this.#trust === undefined) return undefined;
    // A broker that may be an old copy says nothing about what holds now.
    if (this.gate.standing !== 'confirmed') return undefined;
    return this.heads.issue(this.#head(), this.#open.keys.signing);
  }

  /** The leaves of the audit log from `start` to before `end`, as far as there are so many. */
  async entries(start: number, end: number): Promise<readonly Bytes[]> {
    const last = Math.min(end, this.requireOpen().journal.tree.size);
    const found: Bytes[] = [];
    for await (const { position, content } of this.#options.store.entries(start + 1)) {
      if (position > last) break;
      found.push(content);
    }
    return found;
  }

  /** Signs a head over the log as it is now, to be audited. */
  signedTreeHead(): Promise<IssuedHead> {
    return this.#sign();
  }

  async #sign(): Promise<IssuedHead> {
    return sign(this.#head(), this.requireOpen().keys.signing);
  }

  #head(): Head {
    const { tree } = this.requireOpen().journal;
    const { id, manifest } = this.requireTrust();
    return {
      deployment: manifest.deployment,
      party: this.party,
      manifest: id,
      serial: manifest.serial,
      time: this.now(),
      logSize: tree.size,
      logRoot: encodeHex(tree.root()),
    };
  }

  async #unlock(keys: BrokerKeys): Promise<void> {
    const { store, random, now } = this.#options;
    const journal = new Journal({
      store,
      seal: keys.seal,
      now: () => Math.max(now().getTime() / 1000, this.gate.seen?.time ?? 0),
    });
    await journal.append((state) => ({
      events:
        state.brokerKey === undefined
          ? [{ event: 'initialised', party: this.party, brokerKey: keys.thumbprint }]
          : [],
      result: undefined,
    }));
    if (journal.state.brokerKey !== keys.thumbprint)
      throw new TamperedError('entry_replaced', 'the broker key');
    this.#trust = await this.book.load(journal.state.manifests);
    const vault = new SecretVault(store, keys.seal, random);
    const authorities = new AuthorityVault(store, keys.seal, random);
    this.#open = { keys, journal, vault, authorities };
  }

  /** Where the log knows of another manifest than this process, that one is loaded. */
  async #followLog({ state }: Journal): Promise<void> {
    if (state.manifests.at(-1)?.id === this.#trust?.id) return;
    const loaded = await this.book.load(state.manifests);
    if (loaded !== undefined) await this.#adopt(loaded);
  }

  async #adopt(trust: TrustedManifest): Promise<void> {
    this.#trust = trust;
    await this.#options.onManifest?.(trust);
    await this.issueHead();
  }
}
