import {
  manifestId,
  parseManifestFile,
  verifyManifest,
  type ManifestFile,
  type TrustedManifest,
} from '@cloister/attestation';
import {
  canonicalJson,
  decodeUtf8,
  encodeUtf8,
  MalformedError,
  type JsonObject,
} from '@cloister/bytes';
import type { Jwk } from '@cloister/crypto';
import { TamperedError } from '@cloister/sealing';
import type { Store, ValueChange } from '@cloister/service';
import { BrokerError } from '../broker-error.ts';
import type { BrokerState } from '../journal/broker-state.ts';

/** A manifest that waits for signatures. */
export interface PendingManifest {
  readonly id: string;
  readonly serial: number;
  readonly signers: readonly string[];
  /** The parties of its quorum that have not signed yet. */
  readonly missing: readonly string[];
}

/** What comes of a manifest that was handed in. */
export type Judgement =
  | { readonly kind: 'active'; readonly trusted: TrustedManifest }
  | { readonly kind: 'same'; readonly trusted: TrustedManifest }
  | { readonly kind: 'pending'; readonly pending: PendingManifest; readonly file: ManifestFile };

const PENDING = 'pending';
const PREFIX = 'manifest/';
/** What more signatures can mend. */
const WAITING: readonly (string | undefined)[] = [
  'quorum_missing',
  'old_quorum_missing',
  'own_party_missing',
];

/** The manifests of a broker: the one in force, its predecessors, the one that is being signed. */
export class ManifestBook {
  readonly #store: Store;
  readonly #party: string;

  constructor(store: Store, party: string) {
    this.#store = store;
    this.#party = party;
  }

  /**
   * The newest manifest of those that were active, each verified by the one before it. Manifests are
   * public and carry their signatures, so that also a sealed broker can say by which one it runs.
   */
  async load(expected?: readonly { readonly id: string }[]): Promise<TrustedManifest | undefined> {
    let trusted: TrustedManifest | undefined;
    const files = await this.files();
    for (const { manifest, signatures } of files) {
      const verdict = await verifyManifest(manifest, signatures, {
        pinned: undefined,
        ownParty: this.#party,
        predecessor: trusted,
      });
      if (!verdict.ok) throw new TamperedError('not_authentic', `manifest ${manifest.serial}`);
      trusted = verdict.claims;
    }
    if (expected !== undefined && expected.at(-1)?.id !== trusted?.id)
      throw new TamperedError('entry_replaced', 'manifest in force');
    return trusted;
  }

  /** The files of all manifests that were ever active, oldest first. */
  async files(): Promise<readonly ManifestFile[]> {
    const keys = await this.#store.keys(PREFIX);
    const files = await Promise.all(
      keys.map(async (key) => {
        const { value } = await this.#store.value(key);
        if (value === undefined) throw new TamperedError('entry_missing', 'manifest');
        return parseManifestFile(decodeUtf8(value, 'manifest file'));
      }),
    );
    return files.toSorted((a, b) => a.manifest.serial - b.manifest.serial);
  }

  /**
   * Judges a manifest by rules 1 and 2 of design 2.1: it follows the one in force, it names this
   * broker's own key, the quorums and the own party signed. Signatures that came earlier count.
   */
  async judge(
    file: ManifestFile,
    current: TrustedManifest | undefined,
    brokerKey: Jwk,
  ): Promise<Judgement> {
    const { manifest } = file;
    const id = await manifestId(manifest);
    if (current?.id === id) return { kind: 'same', trusted: current };
    const named = manifest.parties[this.#party]?.broker?.sig;
    if (named === undefined || named.x !== brokerKey.x || named.y !== brokerKey.y)
      throw new BrokerError('broker_not_named', {
        detail: `/parties/${this.#party}/broker/sig is not the key of this broker`,
      });
    const before = await this.#pendingFile();
    const known =
      before !== undefined && (await manifestId(before.manifest)) === id ? before.signatures : {};
    const signatures = { ...known, ...file.signatures };
    const verdict = await verifyManifest(manifest, signatures, {
      pinned: undefined,
      ownParty: this.#party,
      predecessor: current,
    });
    if (verdict.ok) return { kind: 'active', trusted: verdict.claims };
    const failed = verdict.checks.filter(({ outcome }) => outcome === 'failed');
    // Somebody must stand behind it: else anybody could push aside what others are signing.
    const waits = failed.every(({ code }) => WAITING.includes(code));
    if (!waits || Object.keys(signatures).length === 0)
      throw new BrokerError('manifest_refused', { reason: verdict.code, checks: verdict.checks });
    const waiting = { manifest, signatures };
    return { kind: 'pending', pending: describe(waiting, id), file: waiting };
  }

  /** The manifest that waits for signatures. */
  async pending(): Promise<PendingManifest | undefined> {
    const file = await this.#pendingFile();
    return file === undefined ? undefined : describe(file, await manifestId(file.manifest));
  }

  /** The change that keeps a manifest until enough have signed. */
  async planPending(file: ManifestFile): Promise<ValueChange> {
    const { version } = await this.#store.value(PENDING);
    return { key: PENDING, version, value: encodeFile(file) };
  }

  /** The changes that make a manifest the one in force. */
  async planActive(file: ManifestFile): Promise<readonly ValueChange[]> {
    const key = `${PREFIX}${file.manifest.serial}`;
    const [place, pending] = await Promise.all([
      this.#store.value(key),
      this.#store.value(PENDING),
    ]);
    return [
      { key, version: place.version, value: encodeFile(file) },
      ...(pending.value === undefined
        ? []
        : [{ key: PENDING, version: pending.version, value: undefined }]),
    ];
  }

  /** All signatures that are known for a manifest. */
  async gather({ manifest, signatures }: ManifestFile): Promise<ManifestFile> {
    const before = await this.#pendingFile();
    const same =
      before !== undefined && (await manifestId(before.manifest)) === (await manifestId(manifest));
    return { manifest, signatures: same ? { ...before.signatures, ...signatures } : signatures };
  }

  async #pendingFile(): Promise<ManifestFile | undefined> {
    const { value } = await this.#store.value(PENDING);
    if (value === undefined) return undefined;
    try {
      return parseManifestFile(decodeUtf8(value, 'pending manifest'));
    } catch (error) {
      // It came from the host, and nothing depends on it: who signed signs again.
      if (error instanceof MalformedError) return undefined;
      throw error;
    }
  }
}

/**
 * Within a step of the journal: whether what was judged before still holds. Another manifest may have come into
 * force between a verdict and its effect; then the asker asks again, and is judged by that one.
 */
export function requireSameManifest(
  { manifests }: Pick<BrokerState, 'manifests'>,
  { id }: TrustedManifest,
): void {
  if (manifests.at(-1)?.id !== id) throw new BrokerError('manifest_changed');
}

/** The text of a manifest file, as `parseManifestFile` reads it. */
export function encodeFile({ manifest, signatures }: ManifestFile): Uint8Array<ArrayBuffer> {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the interface describes JSON
  const json = { manifest, signatures: { ...signatures } } as unknown as JsonObject;
  return encodeUtf8(canonicalJson(json));
}

function describe({ manifest, signatures }: ManifestFile, id: string): PendingManifest {
  const signers = Object.keys(signatures).toSorted((a, b) => (a < b ? -1 : 1));
  const missing = manifest.quorum.update.of.filter((party) => !signers.includes(party));
  return { id, serial: manifest.serial, signers, missing };
}
