import {
  canonicalJson,
  decodeBase64url,
  decodeUtf8,
  encodeBase64url,
  encodeHex,
  encodeUtf8,
  parseJsonObject,
  type Bytes,
} from '@cloister/bytes';
import {
  basicConstraintsExtension,
  createCertificate,
  encodeName,
  keyIdentifier,
  keyUsageExtension,
  sha256,
  subjectKeyIdentifierExtension,
} from '@cloister/crypto';
import { TamperedError, type Random } from '@cloister/sealing';
import type { Store, ValueChange } from '@cloister/service';
import type { BrokerEvent } from '../journal/broker-event.ts';
import type { AuthorityRecord } from '../journal/broker-state.ts';
import type { StateSeal } from '../keys/state-seal.ts';

/** A certificate authority, opened: what signs, and what is published. */
export interface Authority {
  readonly generation: number;
  readonly key: CryptoKey;
  readonly certificate: Bytes;
}

/** Another certificate authority: the event that says so, what is stored and destroyed, and itself. */
export interface NewAuthority {
  readonly event: BrokerEvent & { readonly event: 'authority-created' };
  readonly changes: readonly ValueChange[];
  readonly authority: Authority;
}

const EC = { name: 'ECDSA', namedCurve: 'P-256' } as const;
const DAY = 86_400;
const HOUR = 3600;
const LIFE = 90 * DAY;
/** One that ends sooner signs no more. */
const RENEW = 45 * DAY;
/** As long as the longest certificate lives, and a little. */
const OVERLAP = 25 * HOUR;
/** How far clocks of relying parties may be behind. */
const BACK = HOUR;

/**
 * Where a broker's certificate authorities lie, sealed; the log holds the digest of each. There is
 * one at a time. Where a manifest narrows a service the next one takes its place at once, so that
 * nobody who trusts what is published accepts a certificate of before (spec/key-broker.md 2.2).
 */
export class AuthorityVault {
  readonly #store: Store;
  readonly #seal: StateSeal;
  readonly #random: Random;

  constructor(store: Store, seal: StateSeal, random: Random) {
    this.#store = store;
    this.#seal = seal;
    this.#random = random;
  }

  /** The authority that is needed at a time: undefined where the newest one will do. */
  async planDue(
    known: readonly AuthorityRecord[],
    terms: { readonly now: number; readonly party: string; readonly deployment: string },
  ): Promise<NewAuthority | undefined> {
    const newest = known.at(-1);
    if (newest !== undefined && newest.exp - terms.now > RENEW) return undefined;
    return this.plan(known, { ...terms, reason: newest === undefined ? 'first' : 'aged' });
  }

  /** Makes the next authority. The one before is still published only where this one replaces it for its age. */
  async plan(
    known: readonly AuthorityRecord[],
    terms: {
      readonly now: number;
      readonly party: string;
      readonly deployment: string;
      readonly reason: 'first' | 'aged' | 'narrowed';
    },
  ): Promise<NewAuthority> {
    const { now, party, deployment, reason } = terms;
    const generation = (known.at(-1)?.generation ?? 0) + 1;
    const exp = now + LIFE;
    const pair = await crypto.subtle.generateKey(EC, true, ['sign', 'verify']);
    const publicKey = new Uint8Array(await crypto.subtle.exportKey('spki', pair.publicKey));
    const pkcs8 = new Uint8Array(await crypto.subtle.exportKey('pkcs8', pair.privateKey));
    // A name of its own for each: two that are published for a while are not taken for one.
    const name = encodeName({
      commonName: `Cloister CA ${generation} of ${party}`,
      organizationName: deployment,
    });
    const certificate = await createCertificate({
      subject: name,
      issuer: name,
      serial: certificateSerial(this.#random),
      notBefore: new Date((now - BACK) * 1000),
      notAfter: new Date(exp * 1000),
      publicKey,
      signer: pair.privateKey,
      extensions: [
        basicConstraintsExtension({ ca: true, pathLength: 0 }),
        keyUsageExtension('keyCertSign', 'cRLSign'),
        subjectKeyIdentifierExtension(await keyIdentifier(publicKey)),
      ],
    });
    const place = placeOf(generation);
    const value = await this.#seal.seal(place, encode({ pkcs8, certificate }));
    const key = await importKey(pkcs8);
    const made = { key: place, version: 0, value };
    const gone = reason === 'aged' ? known.slice(0, -1) : known;
    const destroyed = await Promise.all(gone.map((record) => this.#planDestruction(record)));
    return {
      event: {
        event: 'authority-created',
        generation,
        digest: encodeHex(await sha256(value)),
        certificate: encodeHex(await sha256(certificate)),
        exp,
        reason,
        ...(reason === 'aged' ? { overlap: now + OVERLAP } : {}),
      },
      changes: [made, ...destroyed.flat()],
      authority: { generation, key, certificate },
    };
  }

  /** What no longer counts signs nothing any more, whoever gets hold of the disk. */
  async #planDestruction({ generation }: AuthorityRecord): Promise<readonly ValueChange[]> {
    const key = placeOf(generation);
    const { version, value } = await this.#store.value(key);
    return value === undefined ? [] : [{ key, version, value: undefined }];
  }

  /** An authority; TamperedError where it is not the one of the log. */
  async open({ generation, digest }: AuthorityRecord): Promise<Authority> {
    const place = placeOf(generation);
    const { value } = await this.#store.value(place);
    if (value === undefined) throw new TamperedError('entry_missing', 'a sealed authority');
    if (encodeHex(await sha256(value)) !== digest)
      throw new TamperedError('entry_replaced', 'a sealed authority');
    const { pkcs8, certificate } = decode(await this.#seal.open(place, value));
    return { generation, key: await importKey(pkcs8), certificate };
  }
}

/** The authorities whose certificates are to be accepted at a time, newest first. */
export function publishedAuthorities(
  known: readonly AuthorityRecord[],
  now: number,
): readonly AuthorityRecord[] {
  return known.filter(({ until }) => until === undefined || until > now).toReversed();
}

/** 16 random bytes, positive (RFC 5280, 4.1.2.2). */
export function certificateSerial(random: Random): Bytes {
  const bytes = random(16);
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40;
  return bytes;
}

function placeOf(generation: number): string {
  return `authority/${generation}`;
}

interface Kept {
  readonly pkcs8: Bytes;
  readonly certificate: Bytes;
}

function encode({ pkcs8, certificate }: Kept): Bytes {
  const json = { pkcs8: encodeBase64url(pkcs8), certificate: encodeBase64url(certificate) };
  return encodeUtf8(canonicalJson(json));
}

function decode(bytes: Uint8Array): Kept {
  const json = parseJsonObject(decodeUtf8(bytes, 'authority'), 'authority');
  const of = (name: keyof Kept): Bytes => {
    const text = json[name];
    return decodeBase64url(typeof text === 'string' ? text : '', 'authority');
  };
  return { pkcs8: of('pkcs8'), certificate: of('certificate') };
}

function importKey(pkcs8: Bytes): Promise<CryptoKey> {
  return crypto.subtle.importKey('pkcs8', pkcs8, EC, false, ['sign']);
}
