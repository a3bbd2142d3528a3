import {
  decodeBase64url,
  decodeUtf8,
  encodeBase64url,
  encodeUtf8,
  equalBytes,
  MalformedError,
  type Bytes,
  type JsonObject,
} from '@cloister/bytes';
import { decryptJwe, encryptJwe, jwkThumbprint, type Jwk } from '@cloister/crypto';
import { CheckList } from '../check-list.ts';
import type { TrustedManifest } from '../manifest/trusted-manifest.ts';
import type { Shape } from '../shape.ts';
import type { Verification } from '../verification.ts';
import { checkStatement, signStatement } from './broker-statement.ts';

/** One version of a secret. */
export interface SecretVersion {
  readonly version: number;
  readonly value: Bytes;
  /** When it is to be used for what is new, in seconds since 1970; before, only to open. */
  readonly from: number;
  /** When nothing is accepted under it any more; absent: until it is destroyed. */
  readonly until?: number;
}

/** A secret on its way to a service (design 2.1, rule 6). */
export interface ReleasedSecret {
  readonly name: string;
  /** The party whose broker releases it. */
  readonly owner: string;
  readonly type: 'aes256' | 'hpke' | 'imported';
  /** The service that it was released to. */
  readonly service: string;
  readonly manifest: string;
  readonly leaseId: string;
  /** 1 at first, one more with each renewal. */
  readonly epoch: number;
  /** Seconds since 1970. */
  readonly issued: number;
  /** The lease's end, in seconds since 1970. */
  readonly exp: number;
  /** RFC 7638 thumbprint of the attested `enc` key. */
  readonly enc: string;
  /** The receiver's nonce. */
  readonly nonce: Bytes;
  /** Newest first, at least one. */
  readonly versions: readonly SecretVersion[];
  /** The label under which the values were derived from the secret's. */
  readonly derive?: string;
}

const STATEMENT = 'cloister-secret+jws';
/** The `typ` of the JWE around it. */
const ENVELOPE = 'cloister-secret+jwe';
const CHECKS = [
  'encrypted to our key',
  'secret named in the manifest',
  'broker named in the manifest',
  'signed by that broker',
  'form of the statement',
  'the secret that was asked for',
  'released to this service',
  'released under this manifest',
  'recipient is our key',
  'answer to our nonce',
  'lease runs',
  'lease not longer than agreed',
  'version not older than known',
] as const;
const TOLERANCE = 60;

/** Signs a secret as its owner's broker and encrypts it to the receiver's attested `enc` key. */
export async function sealReleasedSecret(
  secret: ReleasedSecret,
  options: {
    readonly brokerKey: CryptoKey;
    readonly enc: Jwk;
    readonly random: (length: number) => Bytes;
  },
): Promise<string> {
  const { brokerKey, enc, random } = options;
  const jws = await signStatement(STATEMENT, encode(secret), brokerKey);
  const header = { typ: ENVELOPE, cty: STATEMENT };
  return encryptJwe({ key: enc, header, plaintext: encodeUtf8(jws), random });
}

/** What the receiver of a secret asked for, and who it is. */
export interface SecretRequest {
  readonly manifest: TrustedManifest;
  readonly name: string;
  readonly service: string;
  /** The attested `enc` key. */
  readonly decryptKey: CryptoKey;
  readonly enc: Jwk;
  /** The nonce of this request: 16 to 64 random bytes. */
  readonly nonce: Bytes;
  readonly at: Date;
  readonly derive?: string | undefined;
  /** The newest version that the receiver has seen. */
  readonly lowestVersion?: number | undefined;
}

/**
 * Opens what a broker released and checks rule 6 of design 2.1: encrypted to our key, signed by the
 * broker that the manifest names for the secret's owner, for this request. A service installs
 * nothing else. Every check is listed; the secret exists only where none failed.
 */
export async function openReleasedSecret(
  jwe: string,
  request: SecretRequest,
): Promise<Verification<ReleasedSecret>> {
  const { manifest, name, service } = request;
  const list = new CheckList();
  const refuse = (): Verification<never> => {
    list.skipRest(CHECKS);
    return list.refusal();
  };
  const opened = await decryptJwe(jwe, { key: request.decryptKey, typ: ENVELOPE });
  const why = opened.ok ? undefined : opened.code;
  if (!list.expect('encrypted to our key', opened.ok, 'secret_not_for_us', why) || !opened.ok)
    return refuse();
  const { secrets = {} } = manifest.manifest;
  const agreed = Object.hasOwn(secrets, name) ? secrets[name] : undefined;
  const named = agreed?.to.includes(service) === true;
  if (!list.expect('secret named in the manifest', named, 'secret_unknown') || !agreed)
    return refuse();
  const jws = textOf(opened.plaintext);
  const secret = await checkStatement(list, jws, {
    manifest,
    party: agreed.owner,
    typ: STATEMENT,
    read,
  });
  if (secret === undefined) return refuse();
  const asked =
    secret.name === name &&
    secret.owner === agreed.owner &&
    secret.type === agreed.type &&
    secret.derive === request.derive;
  list.expect('the secret that was asked for', asked, 'secret_mismatch');
  list.expect('released to this service', secret.service === service, 'service_mismatch');
  const sameManifest = secret.manifest === manifest.id;
  list.expect('released under this manifest', sameManifest, 'manifest_mismatch');
  const ours = secret.enc === (await jwkThumbprint(request.enc));
  list.expect('recipient is our key', ours, 'recipient_mismatch');
  list.expect('answer to our nonce', equalBytes(secret.nonce, request.nonce), 'nonce_mismatch');
  const now = request.at.getTime() / 1000;
  const runs = secret.exp > now && secret.issued <= now + TOLERANCE;
  list.expect('lease runs', runs, 'lease_over');
  const short = secret.exp - secret.issued <= manifest.manifest.lease;
  list.expect('lease not longer than agreed', short, 'lease_too_long');
  const known = (secret.versions[0]?.version ?? 0) >= (request.lowestVersion ?? 0);
  list.expect('version not older than known', known, 'secret_rolled_back');
  return list.code === undefined ? list.result(secret) : refuse();
}

function encode(secret: ReleasedSecret): JsonObject {
  const { nonce, versions, derive, ...rest } = secret;
  return {
    ...rest,
    version: versions[0]?.version ?? 0,
    nonce: encodeBase64url(nonce),
    versions: versions.map(({ version, value, from, until }) => ({
      version,
      value: encodeBase64url(value),
      from,
      ...(until === undefined ? {} : { until }),
    })),
    ...(derive === undefined ? {} : { derive }),
  };
}

function read(payload: Shape): ReleasedSecret {
  const members = payload.members(
    [
      'name',
      'owner',
      'type',
      'service',
      'manifest',
      'leaseId',
      'epoch',
      'issued',
      'exp',
      'enc',
      'nonce',
      'version',
      'versions',
    ],
    ['derive'],
  );
  const versions = members.get('versions').items({ min: 1, max: 64 }).map(readVersion);
  const newest = members.get('version').integer(1);
  if (versions.some(({ version }, i) => version >= (versions[i - 1]?.version ?? newest + 1)))
    members.get('versions').fail();
  if (versions[0]?.version !== newest) members.get('version').fail();
  const derive = members.maybe('derive')?.string(/^[\w.:/-]{1,64}$/u);
  return {
    name: members.get('name').string(),
    owner: members.get('owner').string(),
    type: members.get('type').oneOf(['aes256', 'hpke', 'imported']),
    service: members.get('service').string(),
    manifest: members.get('manifest').hex(32),
    leaseId: members.get('leaseId').hex(16),
    epoch: members.get('epoch').integer(1),
    issued: members.get('issued').integer(),
    exp: members.get('exp').integer(),
    enc: members.get('enc').string(/^[\w-]{43}$/u),
    nonce: bytesOf(members.get('nonce')),
    versions,
    ...(derive === undefined ? {} : { derive }),
  };
}

function readVersion(shape: Shape): SecretVersion {
  const members = shape.members(['version', 'value', 'from'], ['until']);
  const until = members.maybe('until')?.integer();
  return {
    version: members.get('version').integer(1),
    value: bytesOf(members.get('value')),
    from: members.get('from').integer(),
    ...(until === undefined ? {} : { until }),
  };
}

function bytesOf(shape: Shape): Bytes {
  if (typeof shape.value !== 'string' || shape.value.length > 1 << 17) return shape.fail();
  try {
    return decodeBase64url(shape.value);
  } catch (error) {
    if (!(error instanceof MalformedError)) throw error;
    return shape.fail();
  }
}

/** A plaintext that is no text is no JWS: there is no sender then. */
function textOf(plaintext: Bytes): string {
  try {
    return decodeUtf8(plaintext, STATEMENT);
  } catch (error) {
    if (!(error instanceof MalformedError)) throw error;
    return '';
  }
}
