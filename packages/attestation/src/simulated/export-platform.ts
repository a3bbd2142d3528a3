import {
  decodeBase64url,
  encodeBase64url,
  MalformedError,
  type Bytes,
  type JsonObject,
  type JsonValue,
} from '@cloister/bytes';
import { encodeIntelEndorsements, intelCollateralOf } from '../evidence/envelope.ts';
import { Shape } from '../shape.ts';
import { P256 } from './create-platform.ts';
import type { SimulatedPlatform } from './simulated-platform.ts';

const KEYS = ['root', 'platformCa', 'pck', 'tcbSigning', 'attestation'] as const;
const CERTIFICATES = ['root', 'platformCa', 'pck', 'tcbSigning'] as const;
const QUOTING_ENCLAVE = ['report', 'signature', 'authData'] as const;
const VERSION = 1;

/** A platform as JSON, private keys included: for a file that only its owner can read. */
export async function exportPlatform(platform: SimulatedPlatform): Promise<JsonObject> {
  const keys: JsonObject = {};
  for (const name of KEYS) keys[name] = await exportKey(platform.keys[name].privateKey);
  return {
    simulatedPlatform: VERSION,
    keys,
    certificates: encodeAll(CERTIFICATES, platform.certificates),
    quotingEnclave: encodeAll(QUOTING_ENCLAVE, platform.quotingEnclave),
    collateral: encodeIntelEndorsements(platform.collateral),
  };
}

/** The platform that `exportPlatform` wrote; MalformedError for anything else. */
export async function importPlatform(json: JsonValue): Promise<SimulatedPlatform> {
  const members = new Shape(json, 'simulated platform').members([
    'simulatedPlatform',
    'keys',
    'certificates',
    'quotingEnclave',
    'collateral',
  ]);
  members.get('simulatedPlatform').integer(VERSION, VERSION);
  const keys = members.get('keys').members(KEYS);
  const certificates = members.get('certificates').members(CERTIFICATES);
  const quotingEnclave = members.get('quotingEnclave').members(QUOTING_ENCLAVE);
  const [root, platformCa, pck, tcbSigning, attestation] = await Promise.all([
    importKeys(keys.get('root')),
    importKeys(keys.get('platformCa')),
    importKeys(keys.get('pck')),
    importKeys(keys.get('tcbSigning')),
    importKeys(keys.get('attestation')),
  ]);
  return {
    keys: { root, platformCa, pck, tcbSigning, attestation },
    certificates: {
      root: bytesOf(certificates.get('root')),
      platformCa: bytesOf(certificates.get('platformCa')),
      pck: bytesOf(certificates.get('pck')),
      tcbSigning: bytesOf(certificates.get('tcbSigning')),
    },
    quotingEnclave: {
      report: bytesOf(quotingEnclave.get('report')),
      signature: bytesOf(quotingEnclave.get('signature')),
      authData: bytesOf(quotingEnclave.get('authData')),
    },
    collateral: intelCollateralOf(members.get('collateral').object()),
  };
}

function encodeAll<Name extends string>(
  names: readonly Name[],
  parts: Readonly<Record<Name, Bytes>>,
): JsonObject {
  return Object.fromEntries(names.map((name) => [name, encodeBase64url(parts[name])]));
}

async function exportKey(key: CryptoKey): Promise<JsonObject> {
  const { kty = '', crv = '', x = '', y = '', d = '' } = await crypto.subtle.exportKey('jwk', key);
  return { kty, crv, x, y, d };
}

async function importKeys(shape: Shape): Promise<CryptoKeyPair> {
  const members = shape.members(['kty', 'crv', 'x', 'y', 'd']);
  const coordinate = /^[\w-]{43}$/u;
  const point = {
    kty: members.get('kty').oneOf(['EC']),
    crv: members.get('crv').oneOf(['P-256']),
    x: members.get('x').string(coordinate),
    y: members.get('y').string(coordinate),
  };
  const d = members.get('d').string(coordinate);
  try {
    return {
      publicKey: await crypto.subtle.importKey('jwk', point, P256, true, ['verify']),
      privateKey: await crypto.subtle.importKey('jwk', { ...point, d }, P256, true, ['sign']),
    };
  } catch (error) {
    if (error instanceof DOMException) return shape.fail();
    throw error;
  }
}

function bytesOf(shape: Shape): Bytes {
  try {
    return decodeBase64url(shape.string(/^[\w-]{1,65536}$/u));
  } catch (error) {
    if (error instanceof MalformedError) return shape.fail();
    throw error;
  }
}
