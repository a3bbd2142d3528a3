import { asBytes } from '@cloister/bytes';
import { jwkFromSpki, jwkThumbprint, type Jwk } from '@cloister/crypto';
import { TamperedError, type Random } from '@cloister/sealing';
import { errorCode, StoreError, type Store } from '@cloister/service';
import type { Secrets } from '@cloister/attester';
import { createStateSeal, STATE_KEY_LENGTH, type StateSeal } from './state-seal.ts';

/** The key by which a broker signs, as the manifest names it, and the seal of its state. */
export interface BrokerKeys {
  readonly seal: StateSeal;
  readonly signing: CryptoKey;
  readonly jwk: Jwk;
  readonly thumbprint: string;
}

/** Where the keys are kept: the state key by the platform, all else in the store. */
export interface KeyPlaces {
  readonly store: Store;
  /** Sealed to this machine and product. */
  readonly secrets: Required<Secrets>;
  readonly party: string;
  readonly random: Random;
}

const STATE_KEY = 'broker-state-key';
const BROKER_KEY = 'key/broker';
const EC = { name: 'ECDSA', namedCurve: 'P-256' } as const;

/**
 * Opens the broker's keys, or makes them at the very first start. Undefined: there is a state, and
 * this platform cannot unseal it (another machine, a lost file): people with shares can.
 */
export async function openKeys(places: KeyPlaces): Promise<BrokerKeys | undefined> {
  const { store, secrets, random } = places;
  const { value: sealed } = await store.value(BROKER_KEY);
  const stateKey = await stateKeyOf(secrets);
  if (sealed !== undefined)
    return stateKey === undefined ? undefined : loadKeys(places, stateKey, sealed);
  if ((await store.head()).position > 0)
    throw new TamperedError('entry_missing', 'the sealed broker key');
  const made = stateKey ?? random(STATE_KEY_LENGTH);
  if (stateKey === undefined) await secrets.put(STATE_KEY, made);
  return makeKeys(places, made);
}

/** The keys by a state key that came from shares; TamperedError where it is not the right one. */
export async function recoverKeys(
  places: KeyPlaces,
  stateKey: Uint8Array<ArrayBuffer>,
): Promise<BrokerKeys> {
  const { value: sealed } = await places.store.value(BROKER_KEY);
  if (sealed === undefined) throw new TamperedError('entry_missing', 'the sealed broker key');
  const keys = await loadKeys(places, stateKey, sealed);
  await places.secrets.put(STATE_KEY, stateKey);
  return keys;
}

async function stateKeyOf(secrets: Secrets): Promise<Uint8Array<ArrayBuffer> | undefined> {
  try {
    return asBytes(await secrets.get(STATE_KEY));
  } catch (error) {
    if (['secret_missing', 'secret_tampered'].includes(errorCode(error))) return undefined;
    throw error;
  }
}

async function loadKeys(
  { party, random }: KeyPlaces,
  stateKey: Uint8Array<ArrayBuffer>,
  sealed: Uint8Array,
): Promise<BrokerKeys> {
  const seal = createStateSeal(stateKey, party, random);
  const pkcs8 = await seal.open(BROKER_KEY, sealed);
  const key = await crypto.subtle.importKey('pkcs8', pkcs8, EC, true, ['sign']);
  const { kty = '', crv = '', x = '', y = '' } = await crypto.subtle.exportKey('jwk', key);
  const jwk = { kty, crv, x, y };
  const signing = await crypto.subtle.importKey('pkcs8', pkcs8, EC, false, ['sign']);
  pkcs8.fill(0);
  return { seal, signing, jwk, thumbprint: await jwkThumbprint(jwk) };
}

async function makeKeys(places: KeyPlaces, stateKey: Uint8Array<ArrayBuffer>): Promise<BrokerKeys> {
  const { store, party, random } = places;
  const pair = await crypto.subtle.generateKey(EC, true, ['sign', 'verify']);
  const pkcs8 = new Uint8Array(await crypto.subtle.exportKey('pkcs8', pair.privateKey));
  const seal = createStateSeal(stateKey, party, random);
  const value = await seal.seal(BROKER_KEY, pkcs8);
  try {
    await store.commit({ values: [{ key: BROKER_KEY, version: 0, value }] });
  } catch (error) {
    if (!(error instanceof StoreError) || error.code !== 'conflict') throw error;
    // Another process of this broker was first.
    const { value: sealed } = await store.value(BROKER_KEY);
    if (sealed !== undefined) return loadKeys(places, stateKey, sealed);
    throw error;
  }
  const signing = await crypto.subtle.importKey('pkcs8', pkcs8, EC, false, ['sign']);
  pkcs8.fill(0);
  const spki = new Uint8Array(await crypto.subtle.exportKey('spki', pair.publicKey));
  const jwk = jwkFromSpki(spki);
  return { seal, signing, jwk, thumbprint: await jwkThumbprint(jwk) };
}
