import {
  decodeBase64url,
  decodeUtf8,
  encodeBase64url,
  encodeUtf8,
  encodePem,
  parseJsonObject,
  type Bytes,
} from '@cloister/bytes';
import {
  authorityKeyIdentifierExtension,
  basicConstraintsExtension,
  createCertificate,
  dnsNamesExtension,
  encodeName,
  keyIdentifier,
  keyUsageExtension,
  parseCertificate,
  subjectKeyIdentifierExtension,
} from '@cloister/crypto';
import type { Random } from '@cloister/sealing';
import type { Store } from '@cloister/service';
import type { StateSeal } from '../keys/state-seal.ts';

/** What signs released keys, and holds the vault's TLS. */
export interface VaultSigner {
  readonly key: CryptoKey;
  /** Leaf first, root last, DER. */
  readonly chain: readonly Bytes[];
  /** The same for a TLS server: `key` is PKCS #8. */
  readonly pem: { readonly key: string; readonly cert: string };
}

const PLACE = 'key/vault';
const RSA = {
  name: 'RSASSA-PKCS1-v1_5',
  hash: 'SHA-256',
  modulusLength: 2048,
  publicExponent: Uint8Array.of(1, 0, 1),
} as const;
const DAY_MS = 86_400_000;
const ROOT_DAYS = 3650;
const LEAF_DAYS = 397;
const RENEW_DAYS = 30;

/**
 * The vault's certificate for a host name, under a root of its own that nobody trusts until it was
 * given to them. Root and keys are made once and kept sealed; a leaf that ends, or is for another
 * name, is made anew.
 */
export async function openVaultSigner(
  host: string,
  { store, seal, random, at }: { store: Store; seal: StateSeal; random: Random; at: Date },
): Promise<VaultSigner> {
  const stored = await store.value(PLACE);
  const kept = stored.value === undefined ? undefined : read(await seal.open(PLACE, stored.value));
  if (kept !== undefined && fits(kept, host, at)) return toSigner(kept);
  const root = kept ?? (await makeRoot(at, random));
  const leaf = await makeLeaf(root, host, at, random);
  const made = { ...root, ...leaf };
  const value = await seal.seal(PLACE, encode(made));
  await store.commit({ values: [{ key: PLACE, version: stored.version, value }] });
  return toSigner(made);
}

interface Root {
  readonly rootKey: Bytes;
  readonly rootCertificate: Bytes;
}
interface Kept extends Root {
  readonly leafKey: Bytes;
  readonly leafCertificate: Bytes;
}
const MEMBERS = ['rootKey', 'rootCertificate', 'leafKey', 'leafCertificate'] as const;

async function makeRoot(at: Date, random: Random): Promise<Root> {
  const pair = await crypto.subtle.generateKey(RSA, true, ['sign', 'verify']);
  const publicKey = await spkiOf(pair.publicKey);
  const name = encodeName({ commonName: 'Cloister key broker: vault root' });
  const rootCertificate = await createCertificate({
    subject: name,
    issuer: name,
    serial: serial(random),
    ...validity(at, ROOT_DAYS),
    publicKey,
    signer: pair.privateKey,
    extensions: [
      basicConstraintsExtension({ ca: true, pathLength: 0 }),
      keyUsageExtension('keyCertSign', 'cRLSign'),
      subjectKeyIdentifierExtension(await keyIdentifier(publicKey)),
    ],
  });
  return { rootKey: await pkcs8Of(pair.privateKey), rootCertificate };
}

async function makeLeaf(
  root: Root,
  host: string,
  at: Date,
  random: Random,
): Promise<Pick<Kept, 'leafKey' | 'leafCertificate'>> {
  const pair = await crypto.subtle.generateKey(RSA, true, ['sign', 'verify']);
  const publicKey = await spkiOf(pair.publicKey);
  const { subject, spki } = parseCertificate(root.rootCertificate);
  const leafCertificate = await createCertificate({
    subject: encodeName({ commonName: host }),
    issuer: subject,
    serial: serial(random),
    ...validity(at, LEAF_DAYS),
    publicKey,
    signer: await importKey(root.rootKey),
    extensions: [
      basicConstraintsExtension({ ca: false }),
      keyUsageExtension('digitalSignature', 'keyEncipherment'),
      dnsNamesExtension(host),
      subjectKeyIdentifierExtension(await keyIdentifier(publicKey)),
      authorityKeyIdentifierExtension(await keyIdentifier(spki)),
    ],
  });
  return { leafKey: await pkcs8Of(pair.privateKey), leafCertificate };
}

function fits({ leafCertificate }: Kept, host: string, at: Date): boolean {
  const { notAfter, subjectCommonName } = parseCertificate(leafCertificate);
  return subjectCommonName === host && notAfter.getTime() - at.getTime() > RENEW_DAYS * DAY_MS;
}

async function toSigner({ leafKey, leafCertificate, rootCertificate }: Kept): Promise<VaultSigner> {
  const chain = [leafCertificate, rootCertificate];
  const cert = chain.map((der) => encodePem('CERTIFICATE', der)).join('');
  return {
    key: await importKey(leafKey),
    chain,
    pem: { key: encodePem('PRIVATE KEY', leafKey), cert },
  };
}

function encode(kept: Kept): Bytes {
  const entries = MEMBERS.map((name) => [name, encodeBase64url(kept[name])]);
  return encodeUtf8(JSON.stringify(Object.fromEntries(entries)));
}

function read(bytes: Uint8Array): Kept {
  const json = parseJsonObject(decodeUtf8(bytes), 'vault key');
  const of = (name: (typeof MEMBERS)[number]): Bytes => {
    const text = json[name];
    return decodeBase64url(typeof text === 'string' ? text : '', 'vault key');
  };
  return {
    rootKey: of('rootKey'),
    rootCertificate: of('rootCertificate'),
    leafKey: of('leafKey'),
    leafCertificate: of('leafCertificate'),
  };
}

function validity(at: Date, days: number): { readonly notBefore: Date; readonly notAfter: Date } {
  const start = Math.floor(at.getTime() / 1000) * 1000;
  return { notBefore: new Date(start - 3600_000), notAfter: new Date(start + days * DAY_MS) };
}

/** 16 random bytes, positive (RFC 5280, 4.1.2.2). */
function serial(random: Random): Bytes {
  const bytes = random(16);
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40;
  return bytes;
}

async function spkiOf(key: CryptoKey): Promise<Bytes> {
  return new Uint8Array(await crypto.subtle.exportKey('spki', key));
}

async function pkcs8Of(key: CryptoKey): Promise<Bytes> {
  return new Uint8Array(await crypto.subtle.exportKey('pkcs8', key));
}

function importKey(pkcs8: Bytes): Promise<CryptoKey> {
  return crypto.subtle.importKey('pkcs8', pkcs8, RSA, false, ['sign']);
}
