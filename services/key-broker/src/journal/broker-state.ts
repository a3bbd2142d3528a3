import type { LoggedEvent } from './broker-event.ts';

/** One version of a secret, as far as the log knows it: its value is sealed elsewhere. */
export interface VersionRecord {
  readonly version: number;
  readonly digest: string;
  readonly from: number;
  readonly until?: number;
  readonly kty?: 'oct' | 'RSA' | 'EC';
  readonly policy?: string;
}

/** A secret with the versions that were not destroyed, oldest first. */
export interface SecretRecord {
  readonly versions: readonly VersionRecord[];
  /** The number of the newest version that ever was. */
  readonly newest: number;
  /** A service that gets it was narrowed, and the broker cannot make a new value itself. */
  readonly stale: boolean;
}

/** A lease that was given. */
export interface LeaseRecord {
  readonly name: string;
  readonly service: string;
  readonly epoch: number;
  readonly exp: number;
}

/** A certificate authority of this broker. */
export interface AuthorityRecord {
  readonly generation: number;
  readonly digest: string;
  readonly certificate: string;
  readonly exp: number;
  /** When it is no longer published; absent for the one that signs. */
  readonly until?: number;
}

const NO_SECRET: SecretRecord = { versions: [], newest: 0, stale: false };
const ZERO = '00'.repeat(32);

/** What the events of the log make: everything that the broker knows, apart from sealed values. */
export class BrokerState {
  readonly #secrets = new Map<string, SecretRecord>();
  readonly #counters = new Map<string, { readonly value: number; readonly digest: string }>();
  readonly #leases = new Map<string, LeaseRecord>();
  readonly #machines = new Set<string>();
  #authorities: readonly AuthorityRecord[] = [];
  #manifests: readonly { readonly id: string; readonly serial: number }[] = [];
  #recovery: string | undefined;
  #brokerKey: string | undefined;
  #last = 0;

  /** When the last event happened, in seconds: no clock of this broker runs behind it. */
  get last(): number {
    return this.#last;
  }

  /** The manifests that were ever active, oldest first. */
  get manifests(): readonly { readonly id: string; readonly serial: number }[] {
    return this.#manifests;
  }

  /** Thumbprint of the broker's key, once it was initialised. */
  get brokerKey(): string | undefined {
    return this.#brokerKey;
  }

  /** Hash of the set of recovery shares that counts. */
  get recoverySet(): string | undefined {
    return this.#recovery;
  }

  secret(name: string): SecretRecord {
    return this.#secrets.get(name) ?? NO_SECRET;
  }

  counter(name: string): { readonly value: number; readonly digest: string } {
    return this.#counters.get(name) ?? { value: 0, digest: ZERO };
  }

  /** The certificate authorities that count, oldest first: the last one signs. */
  get authorities(): readonly AuthorityRecord[] {
    return this.#authorities;
  }

  /** The machines on which the party admits replicas of this broker. */
  get machines(): ReadonlySet<string> {
    return this.#machines;
  }

  lease(id: string): LeaseRecord | undefined {
    return this.#leases.get(id);
  }

  /** Takes the next event in. */
  apply(event: LoggedEvent): void {
    this.#last = Math.max(this.#last, event.at);
    switch (event.event) {
      case 'manifest-activated':
        this.#manifests = [...this.#manifests, { id: event.id, serial: event.serial }];
        break;
      case 'secret-created':
        this.#create(event);
        break;
      case 'secret-destroyed':
        this.#change(event.name, (secret) => ({
          ...secret,
          versions: secret.versions.filter(({ version }) => version !== event.version),
        }));
        break;
      case 'secret-stale':
        this.#change(event.name, (secret) => ({ ...secret, stale: true }));
        break;
      case 'secret-released':
        this.#release(event);
        break;
      case 'counter-advanced':
      case 'counter-reset':
        this.#counters.set(event.name, { value: event.value, digest: event.digest });
        break;
      case 'authority-created':
        this.#follow(event);
        break;
      case 'recovery-set':
        this.#recovery = event.set;
        break;
      case 'initialised':
        this.#brokerKey = event.brokerKey;
        break;
      case 'machine-admitted':
        if (event.admitted) this.#machines.add(event.machine);
        else this.#machines.delete(event.machine);
        break;
      case 'replica-unsealed':
      case 'unsealed':
      case 'certificate-issued':
      case 'recovered':
      case 'witness-overridden':
        break;
    }
  }

  #follow(event: LoggedEvent & { event: 'authority-created' }): void {
    const { generation, digest, certificate, exp, overlap } = event;
    const before = this.#authorities.at(-1);
    this.#authorities = [
      ...(before === undefined || overlap === undefined ? [] : [{ ...before, until: overlap }]),
      { generation, digest, certificate, exp },
    ];
  }

  #create(event: LoggedEvent & { event: 'secret-created' }): void {
    const { version, digest, from, kty, policy } = event;
    const record = {
      version,
      digest,
      from,
      ...(kty === undefined ? {} : { kty }),
      ...(policy === undefined ? {} : { policy }),
    };
    this.#change(event.name, ({ versions }) => ({
      versions: [
        ...versions.map((old) => {
          const end = event.retires.find((retired) => retired.version === old.version);
          return end === undefined ? old : { ...old, until: end.until };
        }),
        record,
      ],
      newest: version,
      stale: false,
    }));
  }

  #release(event: LoggedEvent & { event: 'secret-released' }): void {
    const { lease, epoch, exp, name, service, at } = event;
    // Leases that ended are only kept as long as a slow renewal may still name them.
    for (const [id, old] of this.#leases) {
      if (old.exp >= at) break;
      this.#leases.delete(id);
    }
    if (lease === undefined || epoch === undefined || exp === undefined) return;
    this.#leases.delete(lease);
    this.#leases.set(lease, { name, service, epoch, exp });
  }

  #change(name: string, change: (secret: SecretRecord) => SecretRecord): void {
    this.#secrets.set(name, change(this.secret(name)));
  }
}
