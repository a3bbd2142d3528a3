import type { Secrets } from '@cloister/attester';
import type { Bytes } from '@cloister/bytes';
import { readKeys, writeKeys, type KeptKey } from './ring-file.ts';
import {
  generateSigningKey,
  importSigningKey,
  type SigningKey,
  type TokenAlgorithm,
} from './signing-key.ts';

/** A key of the ring, with its certificate. */
export interface PublishedKey extends SigningKey {
  /** DER. */
  readonly certificate: Bytes;
  /** From when on it signs; seconds since 1970. */
  readonly from: number;
}

/** The signing keys of an instance: one signs, others are still or already published. */
export interface KeyRing {
  /** The key that signs now. */
  current(): PublishedKey;
  /** What `/certs` shows: the key that signs first, then the newest. */
  published(): readonly PublishedKey[];
  /** Makes a new key: published at once, it signs when `overlapSeconds` have passed. */
  rotate(): Promise<PublishedKey>;
  /** Reads what other replicas kept. */
  reload(): Promise<void>;
}

/** What a ring is opened with. */
export interface KeyRingOptions {
  readonly alg: TokenAlgorithm;
  /** Absent: the keys live for one run. */
  readonly secrets: Required<Secrets> | undefined;
  readonly certify: (key: SigningKey) => Promise<Bytes>;
  readonly now: () => Date;
  /** How long a new key is published before it signs. */
  readonly overlapSeconds: number;
}

/** A replaced key stays published as long as its last token is good, and clocks differ. */
const TOKEN_SECONDS = 28_800 + 3600;

/**
 * Opens the ring; makes its first key where there is none, or none of the wanted algorithm. Keys
 * overlap: clients keep what `/certs` showed them, some for ever.
 */
export async function openKeyRing(options: KeyRingOptions): Promise<KeyRing> {
  const { alg, secrets, certify, now, overlapSeconds } = options;
  const seconds = (): number => Math.floor(now().getTime() / 1000);
  const imported = new Map<string, Promise<PublishedKey>>();
  let kept: readonly KeptKey[] = [];
  let keys: readonly PublishedKey[] = [];

  const load = ({ alg: of, pkcs8, from }: KeptKey): Promise<PublishedKey> => {
    const id = Buffer.from(pkcs8).toString('base64');
    const known = imported.get(id) ?? publish(of, pkcs8, from);
    imported.set(id, known);
    return known;
  };
  const publish = async (of: TokenAlgorithm, pkcs8: Bytes, from: number): Promise<PublishedKey> => {
    const key = await importSigningKey(of, pkcs8);
    return { ...key, certificate: await certify(key), from };
  };
  const take = async (list: readonly KeptKey[]): Promise<void> => {
    kept = withoutEnded(list, seconds());
    keys = await Promise.all(kept.map(load));
  };
  const reload = async (): Promise<void> => {
    if (secrets !== undefined) await take(await readKeys(secrets));
  };
  const add = async (from: number): Promise<PublishedKey> => {
    const key = { alg, pkcs8: await generateSigningKey(alg), from };
    const all = withoutEnded([...kept, key], seconds());
    if (secrets !== undefined) await writeKeys(secrets, all);
    await take(all);
    return load(key);
  };

  await reload();
  if (!kept.some((key) => key.alg === alg)) await add(seconds());
  return {
    current: () => {
      const time = seconds();
      const signing = keys.findLast(({ from }) => from <= time) ?? keys[0];
      if (signing === undefined) throw new RangeError('a key ring without a key');
      return signing;
    },
    published: () => {
      const time = seconds();
      const due = keys.filter((_, i) => !hasEnded(keys, i, time));
      const signing = due.findLast(({ from }) => from <= time);
      return signing === undefined ? due : [signing, ...due.filter((key) => key !== signing)];
    },
    rotate: async () => {
      await reload();
      return add(seconds() + overlapSeconds);
    },
    reload,
  };
}

function withoutEnded(list: readonly KeptKey[], time: number): KeptKey[] {
  const ordered = list.toSorted((a, b) => a.from - b.from);
  return ordered.filter((_, i) => !hasEnded(ordered, i, time));
}

/** Whether the key after this one has signed for so long that no token of this one is good. */
function hasEnded(ordered: readonly { readonly from: number }[], i: number, time: number): boolean {
  const next = ordered[i + 1];
  return next !== undefined && next.from + TOKEN_SECONDS <= time;
}
