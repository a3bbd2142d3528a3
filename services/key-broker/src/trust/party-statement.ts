import type { TrustedManifest } from '@cloister/attestation';
import {
  decodeUtf8,
  encodeUtf8,
  equalBytes,
  MalformedError,
  parseJsonObject,
  type Bytes,
  type JsonObject,
} from '@cloister/bytes';
import { PARTY_STATEMENT_TYP, type PartyPurpose } from '@cloister/client';
import { jwkThumbprint, verifyJws, type Jwk } from '@cloister/crypto';
import { BrokerError } from '../broker-error.ts';

/** What a party said by a majority of its keys. */
export interface PartyStatement {
  readonly payload: JsonObject;
  /** RFC 7638 thumbprints of the keys that signed, sorted. */
  readonly signers: readonly string[];
}

/**
 * Verifies what a party says: the same statement, for this purpose and under this manifest, signed
 * by more than half of the keys that the manifest names for it, each counted once. BrokerError
 * `statement_refused`, `party_quorum_missing`.
 */
export async function verifyPartyStatement(
  list: readonly string[],
  options: {
    readonly purpose: PartyPurpose;
    readonly party: string;
    readonly manifest: TrustedManifest;
  },
): Promise<PartyStatement> {
  const { purpose, party, manifest } = options;
  const keys = manifest.manifest.parties[party]?.keys ?? [];
  const signers = new Set<string>();
  let said: Bytes | undefined;
  for (const jws of list) {
    const signed = await signedBy(jws, keys);
    if (signed === undefined) throw refused('no key of the party signed it');
    if (said !== undefined && !equalBytes(said, signed.payload))
      throw refused('the statements differ');
    said = signed.payload;
    signers.add(await jwkThumbprint(signed.key));
  }
  const payload = readPayload(said ?? encodeUtf8('{}'));
  if (signers.size <= keys.length / 2)
    throw new BrokerError('party_quorum_missing', {
      detail: `${signers.size} of ${keys.length} keys signed; more than half must`,
    });
  if (payload['purpose'] !== purpose) throw refused('another purpose');
  if (payload['party'] !== party) throw refused('another party');
  if (payload['manifest'] !== manifest.id) throw refused('another manifest');
  return { payload, signers: [...signers].toSorted((a, b) => (a < b ? -1 : 1)) };
}

function refused(detail: string): BrokerError {
  return new BrokerError('statement_refused', { detail });
}

async function signedBy(
  jws: string,
  keys: readonly Jwk[],
): Promise<{ readonly key: Jwk; readonly payload: Bytes } | undefined> {
  for (const key of keys) {
    const verdict = await verifyJws(jws, { key, algs: ['ES256'], typ: PARTY_STATEMENT_TYP });
    if (verdict.ok) return { key, payload: verdict.payload };
  }
  return undefined;
}

function readPayload(bytes: Bytes): JsonObject {
  try {
    return parseJsonObject(decodeUtf8(bytes, 'party statement'), 'party statement');
  } catch (error) {
    if (error instanceof MalformedError) throw refused('not JSON');
    throw error;
  }
}
