import {
  canonicalJson,
  decodeBase64url,
  decodeUtf8,
  encodeUtf8,
  MalformedError,
  parseJson,
  type Bytes,
  type JsonObject,
} from '@cloister/bytes';
import { sha256, type Jwk } from '@cloister/crypto';
import { Shape } from '../shape.ts';

/** A key of a service, and what it is for. */
export type RuntimeKey = { readonly use: 'sig' | 'enc' } & Jwk;

/** A model that inference has loaded, by the SHA-256 of its file. */
export interface ModelIdentity {
  readonly name: string;
  readonly version: string;
  readonly digest: string;
}

/** What a service says of itself under the hardware's signature (design 2.2). */
export interface RuntimeData {
  readonly cloister: 1;
  readonly service: string;
  /** Ids of the manifests by which it runs: one, or sorted, one per hospital, for inference. */
  readonly manifests: readonly string[];
  /** Exactly one `sig` (P-256) and one `enc` (RSA, 2048 bits or more). */
  readonly keys: readonly RuntimeKey[];
  /** The channel's key configurations, base64url; absent in boot evidence. */
  readonly ohttp?: string;
  /** SHA-256 of the TLS key's SubjectPublicKeyInfo, lower hex. */
  readonly tls?: string;
  /** Hashes of the newest heads of the brokers (rule 8). */
  readonly heads?: readonly string[];
  /** The caller's nonce, or a Merkle root over many callers' nonces; base64url. */
  readonly nonce?: string;
  readonly models?: readonly ModelIdentity[];
}

const DOCUMENT = 'runtime data';
const NAME = /^[a-z][a-z0-9-]{0,62}$/u;
const MAX_SIZE = 64 * 1024;

/** The bytes whose SHA-256 stands in the evidence: canonical JSON (RFC 8785) of valid data. */
export function encodeRuntimeData(data: RuntimeData): Bytes {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the interface describes JSON
  const bytes = encodeUtf8(canonicalJson(data as unknown as JsonObject));
  parseRuntimeData(bytes);
  return bytes;
}

/**
 * Reads runtime data: canonical JSON and nothing else, no unknown members, keys of the right
 * kind without private parts. All else throws MalformedError.
 */
export function parseRuntimeData(bytes: Uint8Array): RuntimeData {
  if (bytes.length > MAX_SIZE) throw new MalformedError('too_large', DOCUMENT);
  const text = decodeUtf8(bytes, DOCUMENT);
  const json = parseJson(text, DOCUMENT, { maxDepth: 8, maxLength: MAX_SIZE });
  if (canonicalJson(json) !== text) throw new MalformedError('bad_value', `${DOCUMENT}: form`);
  const members = new Shape(json, DOCUMENT).members(
    ['cloister', 'service', 'manifests', 'keys'],
    ['ohttp', 'tls', 'heads', 'nonce', 'models'],
  );
  members.get('cloister').integer(1, 1);
  const ohttp = members.maybe('ohttp');
  const tls = members.maybe('tls');
  const heads = members.maybe('heads');
  const nonce = members.maybe('nonce');
  const models = members.maybe('models');
  return {
    cloister: 1,
    service: members.get('service').string(NAME),
    manifests: parseManifestIds(members.get('manifests')),
    keys: parseKeys(members.get('keys')),
    ...(ohttp === undefined ? {} : { ohttp: parseBase64url(ohttp, 1, 16 * 1024) }),
    ...(tls === undefined ? {} : { tls: tls.hex(32) }),
    ...(heads === undefined ? {} : { heads: heads.distinct((head) => head.hex(32), { max: 16 }) }),
    ...(nonce === undefined ? {} : { nonce: parseBase64url(nonce, 16, 64) }),
    ...(models === undefined ? {} : { models: models.items({ max: 256 }).map(parseModel) }),
  };
}

/** The 64 bytes of report data that stand for runtime data: SHA-256, then zeros (design 2.2). */
export async function reportDataFor(runtimeData: Uint8Array): Promise<Bytes> {
  const reportData = new Uint8Array(64);
  reportData.set(await sha256(runtimeData));
  return reportData;
}

/** The one key of runtime data with this use. */
export function keyOf(data: RuntimeData, use: 'sig' | 'enc'): RuntimeKey {
  const key = data.keys.find((one) => one.use === use);
  if (key === undefined) throw new MalformedError('bad_value', `${DOCUMENT}: /keys`);
  return key;
}

function parseManifestIds(shape: Shape): string[] {
  const ids = shape.distinct((id) => id.hex(32), { min: 1, max: 4096 });
  return ids.every((id, i) => i === 0 || (ids[i - 1] ?? '') < id) ? ids : shape.fail();
}

function parseKeys(shape: Shape): RuntimeKey[] {
  const keys = shape.items({ min: 2, max: 2 }).map(parseKey);
  return new Set(keys.map(({ use }) => use)).size === 2 ? keys : shape.fail();
}

function parseKey(shape: Shape): RuntimeKey {
  const use = new Shape(shape.object()['use'] ?? null, DOCUMENT, '/keys/use').oneOf(['sig', 'enc']);
  return use === 'sig' ? parseSigKey(shape) : parseEncKey(shape);
}

function parseSigKey(shape: Shape): RuntimeKey {
  const members = shape.members(['use', 'kty', 'crv', 'x', 'y'], ['alg', 'kid']);
  const alg = members.maybe('alg')?.oneOf(['ES256']);
  const kid = members.maybe('kid')?.string();
  return {
    use: 'sig',
    kty: members.get('kty').oneOf(['EC']),
    crv: members.get('crv').oneOf(['P-256']),
    x: parseBase64url(members.get('x'), 32, 32),
    y: parseBase64url(members.get('y'), 32, 32),
    ...(alg === undefined ? {} : { alg }),
    ...(kid === undefined ? {} : { kid }),
  };
}

function parseEncKey(shape: Shape): RuntimeKey {
  const members = shape.members(['use', 'kty', 'n', 'e'], ['alg', 'kid']);
  const modulus = members.get('n');
  const n = parseBase64url(modulus, 256, 1024);
  const bytes = decodeBase64url(n);
  // No leading zero (RFC 7518, 6.3.1.1), and 256 bytes hold 2048 bits only with the first one set.
  const [first = 0] = bytes;
  if (first === 0 || (bytes.length === 256 && first < 0x80)) modulus.fail();
  const alg = members.maybe('alg')?.oneOf(['RSA-OAEP-256']);
  const kid = members.maybe('kid')?.string();
  return {
    use: 'enc',
    kty: members.get('kty').oneOf(['RSA']),
    n,
    e: members.get('e').oneOf(['AQAB']),
    ...(alg === undefined ? {} : { alg }),
    ...(kid === undefined ? {} : { kid }),
  };
}

function parseModel(shape: Shape): ModelIdentity {
  const members = shape.members(['name', 'version', 'digest']);
  return {
    name: members.get('name').string(/^[\w.-]{1,128}$/u),
    version: members.get('version').string(/^[\w.-]{1,64}$/u),
    digest: members.get('digest').hex(32),
  };
}

/** Unpadded base64url of so many bytes, as the text that it is. */
function parseBase64url(shape: Shape, min: number, max: number): string {
  const text = shape.string(/^[\w-]+$/u);
  try {
    const { length } = decodeBase64url(text);
    return length >= min && length <= max ? text : shape.fail();
  } catch (error) {
    if (!(error instanceof MalformedError)) throw error;
    return shape.fail();
  }
}
