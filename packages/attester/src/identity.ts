import {
  encodeRuntimeData,
  reportDataFor,
  type Attester,
  type EvidenceEnvelope,
  type EvidenceSource,
  type ModelIdentity,
  type RuntimeData,
  type RuntimeKey,
} from '@cloister/attestation';
import { decodeUtf8, encodeBase64url, parseJsonObject, type Bytes } from '@cloister/bytes';
import { parseJws } from '@cloister/crypto';
import { AttesterError } from './attester-error.ts';

/** What an identity is made of. */
export interface IdentityOptions {
  readonly service: string;
  /** Ids of the manifests by which the service runs; a function where they change as it runs. */
  readonly manifests: readonly string[] | (() => readonly string[]);
  readonly attester: Attester;
  /** The channel's key configurations (`application/ohttp-keys`). */
  readonly ohttp?: Bytes | undefined;
  /** The models that the service serves; a function where they change as it runs. */
  readonly models?: readonly ModelIdentity[] | (() => readonly ModelIdentity[]) | undefined;
  /** SHA-256 of the SPKI of the service's TLS key, lower hex; see `createTlsKey`. */
  readonly tls?: string | undefined;
  /** Hashes of the newest heads of the brokers (design 2.1, rule 8), as they are when asked. */
  readonly heads?: (() => readonly string[]) | undefined;
  /** Seconds after which a token is replaced, where that is sooner than its own life says. */
  readonly tokenSeconds?: number | undefined;
  /** Asks the attestation service for tokens over this evidence. */
  readonly tokens?:
    | ((evidence: {
        readonly evidence: Bytes;
        readonly runtimeData: Bytes;
      }) => Promise<readonly string[]>)
    | undefined;
  /** Told when the attestation service gave no token for evidence that was shown without one. */
  readonly onTokenFailure?: (error: unknown) => void;
  /** The clock; the machine's unless told. */
  readonly now?: () => Date;
}

/** A service's attested identity: its keys, its evidence, its token. */
export interface ServiceIdentity extends EvidenceSource {
  /** P-256, ES256: signs calls and receipts. */
  readonly sigKey: CryptoKeyPair;
  /** RSA-2048, RSA-OAEP-256: what secrets are released to. */
  readonly encKey: CryptoKeyPair;
  /** A token that is good for some time yet: kept, and renewed before it expires. */
  token(): Promise<string>;
}

interface Kept {
  readonly token: string;
  /** Those that it names: when others are in force it is replaced at once. */
  readonly manifests: string;
  /** When a quarter of its life is left; milliseconds since 1970. */
  readonly renewAt: number;
  readonly endsAt: number;
}

/**
 * Makes a service's keys, which never leave the process, and the evidence over them (design 2.2).
 * Evidence with a nonce is made anew for each caller, and so are its tokens: they name the same
 * quote. Where the attestation service does not answer, evidence is shown without tokens.
 */
export async function createIdentity(options: IdentityOptions): Promise<ServiceIdentity> {
  const { attester, models, heads, tokens, onTokenFailure, now = () => new Date() } = options;
  const given = options.manifests;
  const manifests = (): readonly string[] =>
    (typeof given === 'function' ? given() : given).toSorted();
  const [sigKey, encKey] = await Promise.all([makeSigKey(), makeEncKey()]);
  const runtimeData = await runtimeDataOf(options, sigKey.publicKey, encKey.publicKey);
  const prove = async (nonce?: Bytes): Promise<{ evidence: Bytes; runtimeData: Bytes }> => {
    const data = encodeRuntimeData({
      ...runtimeData,
      manifests: manifests(),
      ...(models === undefined ? {} : { models: typeof models === 'function' ? models() : models }),
      ...(heads === undefined ? {} : { heads: heads() }),
      ...(nonce === undefined ? {} : { nonce: encodeBase64url(nonce) }),
    });
    return { evidence: await attester.quote(await reportDataFor(data)), runtimeData: data };
  };

  const fetchToken = async (): Promise<Kept> => {
    if (tokens === undefined) throw new AttesterError('no_token_source', options.service);
    const named = manifests().join();
    const [token] = await tokens(await prove());
    if (token === undefined) throw new AttesterError('bad_token', 'no token came');
    const life = lifeOf(token);
    const soon = now().getTime() + (options.tokenSeconds ?? Number.POSITIVE_INFINITY) * 1000;
    return { token, manifests: named, ...life, renewAt: Math.min(life.renewAt, soon) };
  };
  let kept: Kept | undefined;
  let pending: Promise<Kept> | undefined;
  const token = async (): Promise<string> => {
    const isGood = kept !== undefined && now().getTime() < kept.renewAt;
    if (isGood && kept?.manifests === manifests().join()) return kept.token;
    pending ??= fetchToken().finally(() => {
      pending = undefined;
    });
    try {
      kept = await pending;
    } catch (error) {
      // The last quarter of the old one's life is there for this, and the bridge between manifests.
      if (kept === undefined || now().getTime() >= kept.endsAt) throw error;
      onTokenFailure?.(error);
    }
    return kept.token;
  };

  return {
    sigKey,
    encKey,
    token,
    ...(options.ohttp === undefined ? {} : { ohttpKeys: options.ohttp }),
    evidence: async (nonce): Promise<EvidenceEnvelope> => {
      const proof = await prove(nonce);
      const [endorsements, issued] = await Promise.all([
        attester.endorsements(),
        tokens?.(proof).catch((error: unknown): readonly string[] => {
          onTokenFailure?.(error);
          return [];
        }),
      ]);
      return {
        format: attester.format,
        ...proof,
        ...(endorsements === undefined ? {} : { endorsements }),
        tokens: issued ?? [],
      };
    },
  };
}

async function makeSigKey(): Promise<CryptoKeyPair> {
  return crypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, false, [
    'sign',
    'verify',
  ]);
}

async function makeEncKey(): Promise<CryptoKeyPair> {
  const rsa = {
    name: 'RSA-OAEP',
    hash: 'SHA-256',
    modulusLength: 2048,
    publicExponent: Uint8Array.of(1, 0, 1),
  };
  return crypto.subtle.generateKey(rsa, false, ['encrypt', 'decrypt']);
}

async function runtimeDataOf(
  { service, ohttp, tls }: IdentityOptions,
  sig: CryptoKey,
  enc: CryptoKey,
): Promise<Omit<RuntimeData, 'manifests'>> {
  return {
    cloister: 1,
    service,
    keys: [await publicKey('sig', sig), await publicKey('enc', enc)],
    ...(ohttp === undefined ? {} : { ohttp: encodeBase64url(ohttp) }),
    ...(tls === undefined ? {} : { tls }),
  };
}

async function publicKey(use: 'sig' | 'enc', key: CryptoKey): Promise<RuntimeKey> {
  const {
    kty = '',
    crv = '',
    x = '',
    y = '',
    n = '',
    e = '',
  } = await crypto.subtle.exportKey('jwk', key);
  return use === 'sig'
    ? { use, alg: 'ES256', kty, crv, x, y }
    : { use, alg: 'RSA-OAEP-256', kty, n, e };
}

function lifeOf(token: string): Pick<Kept, 'renewAt' | 'endsAt'> {
  const payload = parseJsonObject(decodeUtf8(parseJws(token).payload, 'token'), 'token');
  const { iat, exp } = payload;
  if (typeof iat !== 'number' || typeof exp !== 'number' || exp <= iat)
    throw new AttesterError('bad_token', 'iat and exp');
  return { renewAt: (exp - (exp - iat) / 4) * 1000, endsAt: exp * 1000 };
}
