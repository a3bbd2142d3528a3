import {
  decodeUtf8,
  isJsonObject,
  MalformedError,
  parseJsonObject,
  type JsonObject,
  type JsonValue,
} from '@cloister/bytes';
import { parseJwk, type Jwk } from '@cloister/crypto';

const NAME = 'HCL runtime claims';
const MAX_KEYS = 8;

/** What the paravisor says of a VM and its vTPM (spec/evidence.md 10). */
export interface HclRuntimeClaims {
  /** Ids of all keys, in their order. */
  readonly kids: readonly string[];
  /** HCLAkPub: signs the vTPM's quotes. */
  readonly attestationKey?: Jwk;
  /** HCLEkPub: the vTPM's endorsement key. */
  readonly endorsementKey?: Jwk;
  /** As it is written; its members change with the paravisor. */
  readonly vmConfiguration: JsonObject;
  /** 64 bytes (lower hex) that the guest wrote to NV index 0x01400002. */
  readonly userData?: string;
  /** All of it, as a token about this machine repeats it. */
  readonly document: JsonObject;
}

/** Reads the claims; MalformedError where a member that is known has another shape. */
export function parseHclRuntimeClaims(bytes: Uint8Array): HclRuntimeClaims {
  const object = parseJsonObject(decodeUtf8(bytes, NAME), NAME);
  const keys = readKeys(object['keys']);
  const vmConfiguration = object['vm-configuration'] ?? {};
  if (!isJsonObject(vmConfiguration)) return fail('vm-configuration');
  const userData = object['user-data'];
  const attestationKey = keys.get('HCLAkPub');
  const endorsementKey = keys.get('HCLEkPub');
  return {
    kids: [...keys.keys()],
    ...(attestationKey === undefined ? {} : { attestationKey }),
    ...(endorsementKey === undefined ? {} : { endorsementKey }),
    vmConfiguration,
    ...(userData === undefined ? {} : { userData: readUserData(userData) }),
    document: object,
  };
}

/** By key id; one id twice would let reader and writer mean different keys. */
function readKeys(value: JsonValue | undefined): ReadonlyMap<string, Jwk> {
  if (!Array.isArray(value) || value.length > MAX_KEYS) return fail('keys');
  const keys = new Map<string, Jwk>();
  for (const item of value) {
    const jwk = parseJwk(item, `${NAME}: key`);
    const { kid } = jwk;
    if (kid === undefined || keys.has(kid)) return fail('kid');
    keys.set(kid, jwk);
  }
  return keys;
}

function readUserData(value: JsonValue): string {
  return typeof value === 'string' && /^[0-9a-f]{128}$/i.test(value)
    ? value.toLowerCase()
    : fail('user-data');
}

function fail(member: string): never {
  throw new MalformedError('bad_value', `${NAME}: ${member}`);
}
