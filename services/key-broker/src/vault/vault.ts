import { createHash } from 'node:crypto';
import {
  decodeBase64url,
  decodeUtf8,
  encodeBase64,
  encodeBase64url,
  encodeHex,
  encodeUtf8,
  isJsonObject,
  type JsonObject,
  type JsonValue,
} from '@cloister/bytes';
import { sha256, signJws } from '@cloister/crypto';
import type { Random } from '@cloister/sealing';
import type { Store } from '@cloister/service';
import { BrokerError } from '../broker-error.ts';
import type { Broker } from '../broker.ts';
import type { BrokerEvent } from '../journal/broker-event.ts';
import type { VersionRecord } from '../journal/broker-state.ts';
import { agreedSecret } from '../release/leases.ts';
import type { PartySecrets } from '../release/party-secrets.ts';
import type { IssuerKeys } from '../trust/caller-gate.ts';
import { requireSameManifest } from '../trust/manifest-book.ts';
import { verifyPartyStatement } from '../trust/party-statement.ts';
import { judgeTarget, targetRefused } from './judge-target.ts';
import {
  publicMembers,
  readKeyMaterial,
  readWrapping,
  wrapKey,
  type KeyMaterial,
} from './key-material.ts';
import { parseReleasePolicy, satisfies } from './release-policy.ts';
import type { VaultSigner } from './vault-certificate.ts';
import { VaultError } from './vault-error.ts';

/** What the vault's operations need. */
export interface VaultDeps {
  readonly broker: Broker;
  readonly secrets: PartySecrets;
  readonly store: Store;
  readonly issuerKeys: IssuerKeys;
  readonly random: Random;
  readonly signer: () => VaultSigner;
  /** The vault's base URL: it stands in the ids of keys. */
  readonly baseUrl: () => string;
}

const CONTENT_TYPE = 'application/json; charset=utf-8';

/**
 * Azure Key Vault's import, get and release over the imported secrets of the manifest. The release
 * policy that comes with a key narrows; it never widens: the manifest decides first.
 */
export class Vault {
  readonly #deps: VaultDeps;

  constructor(deps: VaultDeps) {
    this.#deps = deps;
  }

  /** `PUT /keys/{name}`: by the owner's word, in the bearer token. */
  async import(name: string, body: JsonObject, bearer: string): Promise<JsonObject> {
    const { broker, secrets, store } = this.#deps;
    const { trust } = broker.requireActive();
    await this.#authorise(bearer, name);
    if (agreedSecret(trust, broker.party, name).type !== 'imported')
      throw new VaultError('Conflict', 'not a secret that is imported');
    const material = readKeyMaterial(body['key']);
    const { attributes, release_policy: policy } = body;
    if (!isJsonObject(attributes) || attributes['exportable'] !== true)
      throw new VaultError('BadParameter', 'attributes.exportable');
    const text = readPolicy(policy);
    const digest = encodeHex(await sha256(encodeUtf8(text)));
    await keepPolicy(store, digest, text);
    const { kty, bytes } = material;
    const value = { digest: encodeHex(await sha256(bytes)), kty, policy: digest };
    const { version } = await secrets.import(name, bytes, value);
    bytes.fill(0);
    return this.get(name, version);
  }

  /** `GET /keys/{name}[/{version}]`: what may be known of a key. */
  async get(name: string, version?: number): Promise<JsonObject> {
    const { record, material } = await this.#find(name, version);
    const key = { ...this.#keyOf(name, record.version, material), ...publicMembers(material) };
    const policy = await this.#policyOf(record);
    return {
      key,
      attributes: attributesOf(record),
      ...(policy === undefined ? {} : { release_policy: encodePolicy(policy) }),
    };
  }

  /** `POST /keys/{name}[/{version}]/release`: to a TEE whose token satisfies manifest and policy. */
  async release(
    name: string,
    version: number | undefined,
    body: JsonObject,
    apiVersion: string,
  ): Promise<JsonObject> {
    const { broker, issuerKeys, random, signer } = this.#deps;
    const { trust, journal } = broker.requireActive();
    const { target, nonce, enc } = body;
    if (typeof target !== 'string') throw new VaultError('BadParameter', 'target');
    const wrapping = readWrapping(enc);
    const { record, material } = await this.#find(name, version);
    const services = agreedSecret(trust, broker.party, name).to;
    const at = new Date(broker.now() * 1000);
    const judged = await issuerKeys.use((keys) =>
      judgeTarget(target, { manifest: trust, services, issuerKeys: keys, at }),
    );
    if (!judged.ok) throw targetRefused(judged.code);
    const { issuer, payload, service, simulated, wrapTo } = judged.claims;
    const policy = await this.#policyOf(record);
    if (policy === undefined) throw new VaultError('Forbidden', 'the key has no release policy');
    if (!satisfies(parseReleasePolicy(policy), issuer, payload))
      throw targetRefused('the release policy is not satisfied');
    const noted: BrokerEvent = {
      event: 'secret-released',
      name,
      version: record.version,
      service,
      via: 'vault',
      simulated,
      manifest: trust.id,
    };
    await journal.append((state) => {
      requireSameManifest(state, trust);
      return { events: [noted], result: undefined };
    });
    const ciphertext = await wrapKey(material.bytes, { to: wrapTo, wrapping, random });
    const { kid } = this.#keyOf(name, record.version, material);
    const hsm = {
      schema_version: '1.0',
      header: { kid: wrapTo.kid ?? '', alg: 'dir', enc: wrapping },
      ciphertext: encodeBase64url(ciphertext),
    };
    const released = {
      request: {
        'api-version': apiVersion,
        enc: wrapping,
        kid,
        ...(typeof nonce === 'string' ? { nonce } : {}),
      },
      response: {
        key: {
          attributes: attributesOf(record),
          key: {
            ...this.#keyOf(name, record.version, material),
            key_hsm: encodeBase64url(encodeUtf8(JSON.stringify(hsm))),
          },
          release_policy: encodePolicy(policy),
        },
      },
    };
    return { value: await signRelease(released, signer()) };
  }

  /** The bearer token is the owner's statement: signed by more than half of its keys, joined by `~`. */
  async #authorise(bearer: string, name: string): Promise<void> {
    const { broker } = this.#deps;
    const { trust } = broker.requireActive();
    const options = { purpose: 'vault-import', party: broker.party, manifest: trust } as const;
    let payload: JsonObject;
    try {
      ({ payload } = await verifyPartyStatement(bearer.split('~'), options));
    } catch (error) {
      if (!(error instanceof BrokerError)) throw error;
      throw new VaultError('Unauthorized', error.message, { cause: error });
    }
    const { exp, keys } = payload;
    if (typeof exp !== 'number' || exp <= broker.now())
      throw new VaultError('Unauthorized', 'the statement has ended');
    if (!Array.isArray(keys) || !keys.includes(name))
      throw new VaultError('Forbidden', 'the statement does not name this key');
  }

  async #find(
    name: string,
    version: number | undefined,
  ): Promise<{ readonly record: VersionRecord; readonly material: KeyMaterial }> {
    const { broker } = this.#deps;
    await broker.refresh();
    const { trust, journal, vault } = broker.requireActive();
    const { secrets = {} } = trust.manifest;
    const owned = Object.hasOwn(secrets, name) && secrets[name]?.owner === broker.party;
    const { versions } = journal.state.secret(name);
    const record =
      version === undefined ? versions.at(-1) : versions.find((one) => one.version === version);
    if (!owned || record?.kty === undefined) throw new VaultError('KeyNotFound', 'no such key');
    return { record, material: { kty: record.kty, bytes: await vault.open(name, record) } };
  }

  /** The policy of a version: by its digest in the log, so the host cannot change it. */
  async #policyOf({ policy }: VersionRecord): Promise<string | undefined> {
    if (policy === undefined) return undefined;
    const { value } = await this.#deps.store.value(`policy/${policy}`);
    if (value === undefined || encodeHex(await sha256(value)) !== policy)
      throw new VaultError('Forbidden', 'the release policy is not the one of the log');
    return decodeUtf8(value, 'release policy');
  }

  #keyOf(name: string, version: number, { kty }: KeyMaterial) {
    const kid = `${this.#deps.baseUrl()}/keys/${name}/${versionId(version)}`;
    return { kid, kty: `${kty}-HSM`, key_ops: ['encrypt', 'decrypt'] };
  }
}

/** A version as Key Vault writes it: 32 hex digits. */
function versionId(version: number): string {
  return version.toString(16).padStart(32, '0');
}

function readPolicy(value: JsonValue | undefined): string {
  const data = isJsonObject(value) ? value['data'] : undefined;
  if (typeof data !== 'string') throw new VaultError('BadParameter', 'release_policy');
  const text = decodeUtf8(decodeBase64url(data, 'release policy'), 'release policy');
  parseReleasePolicy(text);
  return text;
}

async function keepPolicy(store: Store, digest: string, text: string): Promise<void> {
  const key = `policy/${digest}`;
  const { version, value } = await store.value(key);
  if (value === undefined)
    await store.commit({ values: [{ key, version, value: encodeUtf8(text) }] });
}

function encodePolicy(text: string): JsonObject {
  return { contentType: CONTENT_TYPE, data: encodeBase64url(encodeUtf8(text)), immutable: true };
}

function attributesOf({ from }: VersionRecord): JsonObject {
  return { enabled: true, exportable: true, created: from, updated: from };
}

function signRelease(released: JsonObject, { key, chain }: VaultSigner): Promise<string> {
  const [leaf = new Uint8Array(0)] = chain;
  const thumbprint = createHash('sha256').update(leaf).digest('base64url');
  const header = {
    kid: thumbprint,
    x5c: chain.map((certificate) => encodeBase64(certificate)),
    'x5t#S256': thumbprint,
  };
  return signJws({ alg: 'RS256', key, header, payload: JSON.stringify(released) });
}
