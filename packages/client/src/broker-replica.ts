import type { Check, TrustedManifest, Verification, VerifiedPeer } from '@cloister/attestation';
import {
  canonicalJson,
  decodeBase64url,
  decodeUtf8,
  encodeBase64url,
  encodeUtf8,
  MalformedError,
  parseJsonObject,
  type Bytes,
  type JsonObject,
} from '@cloister/bytes';
import { decryptJwe, encryptJwe, signJws, verifyJws, type Jwk } from '@cloister/crypto';

/** The key that seals a broker's state, on its way to a replica of the same broker (spec/key-broker.md 5.3). */
export interface ReleasedStateKey {
  readonly deployment: string;
  readonly party: string;
  /** Id of the manifest in force. */
  readonly manifest: string;
  /** The replica's nonce. */
  readonly nonce: Bytes;
  readonly key: Bytes;
}

const STATEMENT = 'cloister-state-key+jws';
/** The `typ` of the JWE around it. */
const ENVELOPE = 'cloister-state-key+jwe';

/** Signs a state key as its broker and encrypts it to the replica's attested `enc` key. */
export async function sealStateKey(
  { deployment, party, manifest, nonce, key }: ReleasedStateKey,
  options: {
    readonly brokerKey: CryptoKey;
    readonly enc: Jwk;
    readonly random: (length: number) => Bytes;
  },
): Promise<string> {
  const payload: JsonObject = {
    deployment,
    party,
    manifest,
    nonce: encodeBase64url(nonce),
    key: encodeBase64url(key),
  };
  const jws = await signJws({
    alg: 'ES256',
    key: options.brokerKey,
    header: { typ: STATEMENT },
    payload: encodeUtf8(canonicalJson(payload)),
  });
  const header = { typ: ENVELOPE, cty: STATEMENT };
  const { enc, random } = options;
  return encryptJwe({ key: enc, header, plaintext: encodeUtf8(jws), random });
}

/**
 * Opens a state key: encrypted to our key, signed by the broker that the manifest names for our own
 * party, for this request. That it is the right one, the state says that it opens.
 */
export async function openStateKey(
  jwe: string,
  options: {
    readonly manifest: TrustedManifest;
    readonly party: string;
    readonly nonce: Bytes;
    readonly decryptKey: CryptoKey;
  },
): Promise<Verification<Bytes>> {
  const { manifest, party, nonce, decryptKey } = options;
  const checks: Check[] = [];
  const refuse = (check: string, code: string): Verification<never> => {
    checks.push({ check, outcome: 'failed', code });
    return { ok: false, code, checks };
  };
  const pass = (check: string): void => void checks.push({ check, outcome: 'passed' });

  const opened = await decryptJwe(jwe, { key: decryptKey, typ: ENVELOPE });
  if (!opened.ok) return refuse('encrypted to our key', 'secret_not_for_us');
  pass('encrypted to our key');
  const { parties, deployment } = manifest.manifest;
  const key = Object.hasOwn(parties, party) ? parties[party]?.broker?.sig : undefined;
  if (key === undefined) return refuse('broker named in the manifest', 'broker_unknown');
  pass('broker named in the manifest');
  const signed = await verifyJws(textOrNothing(opened.plaintext), {
    key,
    algs: ['ES256'],
    typ: STATEMENT,
  });
  if (!signed.ok) return refuse('signed by that broker', 'sender_foreign');
  pass('signed by that broker');
  const said = readStatement(signed.payload);
  if (said === undefined) return refuse('form of the statement', 'statement_malformed');
  pass('form of the statement');
  if (said.party !== party || said.deployment !== deployment || said.manifest !== manifest.id)
    return refuse('of our party and manifest', 'statement_of_another');
  pass('of our party and manifest');
  if (encodeBase64url(said.nonce) !== encodeBase64url(nonce))
    return refuse('answer to our nonce', 'nonce_mismatch');
  pass('answer to our nonce');
  return { ok: true, claims: said.key, checks };
}

/**
 * The machine behind evidence, as a party admits it for replicas: the PPID of an Intel processor, the
 * CHIP_ID of an AMD one. Undefined where the evidence names none.
 */
export function machineOf({ claims }: Pick<VerifiedPeer, 'claims'>): string | undefined {
  const hardware = claims.tee === 'azure-cvm' ? claims.hardware : claims;
  if (hardware.tee !== 'snp') return hardware.ppid;
  return hardware.chipIdMasked ? undefined : hardware.chipId;
}

function readStatement(payload: Uint8Array): ReleasedStateKey | undefined {
  try {
    const json = parseJsonObject(decodeUtf8(payload, 'state key'), 'state key');
    const of = (name: string): string => {
      const value = json[name];
      if (typeof value !== 'string') throw new MalformedError('bad_value', 'state key');
      return value;
    };
    return {
      deployment: of('deployment'),
      party: of('party'),
      manifest: of('manifest'),
      nonce: decodeBase64url(of('nonce'), 'state key'),
      key: decodeBase64url(of('key'), 'state key'),
    };
  } catch (error) {
    if (error instanceof MalformedError) return undefined;
    throw error;
  }
}

/** What is no text is no JWS either. */
function textOrNothing(bytes: Uint8Array): string {
  try {
    return decodeUtf8(bytes, 'state key');
  } catch (error) {
    if (error instanceof MalformedError) return '';
    throw error;
  }
}
