import type { TrustedManifest } from '@cloister/attestation';
import {
  type Bytes,
  decodeBase64url,
  decodeHex,
  decodeUtf8,
  encodeBase64url,
  encodeHex,
  equalBytes,
  type JsonObject,
  MalformedError,
  parseJsonObject,
} from '@cloister/bytes';
import { PARTY_STATEMENT_TYP } from '@cloister/client';
import { jwkThumbprint, verifyJws } from '@cloister/crypto';
import { type LogHead } from '@cloister/sealing';
import { ConfigError } from '@cloister/service';
import type { Anchored } from '../store/head-anchor.ts';

/** The party whose data these are: only it gives entries up (design 2.1, rule 7). */
const OWNER = 'hospital';
/** The name of the log's anchor; a broker has it as a counter. */
export const ANCHOR_NAME = 'records-log';
const REASON = /^[\w.,: -]{1,200}$/;
const MAX_STATEMENTS = 32;

/** The party's word that a log may go on although it does not contain what was anchored. */
export interface RestoreOrder {
  /** What was anchored, and is given up. */
  readonly from: Anchored;
  /** The log that is gone on with. */
  readonly to: Anchored;
  readonly reason: string;
  /** RFC 7638 thumbprints of the keys that signed. */
  readonly signers: readonly string[];
}

/**
 * What the party's keys sign, still without a reason: the same statement that a broker takes for its
 * counter. Its nonce is the anchored hash, so that it is good for this one state only.
 */
export function restoreStatement(anchored: Anchored, found: LogHead, manifest: string): JsonObject {
  return {
    purpose: 'reset-counter',
    party: OWNER,
    manifest,
    name: ANCHOR_NAME,
    from: anchored.value,
    value: found.position + 1,
    digest: encodeHex(found.hash),
    nonce: encodeBase64url(anchored.hash),
  };
}

/**
 * Reads an order: one signed statement per line, the same for all, by more than half of the keys that
 * the manifest names for the party. ConfigError where it does not count.
 */
export async function readRestoreOrder(
  text: string,
  { id, manifest }: TrustedManifest,
): Promise<RestoreOrder> {
  const lines = text.split('\n').filter((line) => line.trim() !== '');
  if (lines.length === 0 || lines.length > MAX_STATEMENTS) throw refused('no statements');
  const keys = manifest.parties[OWNER]?.keys ?? [];
  const signers = new Set<string>();
  let said: Bytes | undefined;
  for (const line of lines) {
    const verdicts = await Promise.all(
      keys.map(async (key) => {
        const verdict = await verifyJws(line.trim(), {
          key,
          algs: ['ES256'],
          typ: PARTY_STATEMENT_TYP,
        });
        return { verdict, signer: await jwkThumbprint(key) };
      }),
    );
    const found = verdicts.find(({ verdict }) => verdict.ok);
    if (found === undefined || !found.verdict.ok) throw refused(`signed by no key of the ${OWNER}`);
    const { payload } = found.verdict;
    if (said !== undefined && !equalBytes(said, payload)) throw refused('the statements differ');
    said = payload;
    signers.add(found.signer);
  }
  if (signers.size <= keys.length / 2)
    throw refused(`${signers.size} of ${keys.length} keys signed; more than half must`);
  try {
    return { ...readStatement(said ?? new Uint8Array(), id), signers: [...signers].toSorted() };
  } catch (error) {
    if (error instanceof MalformedError) throw refused(error.message);
    throw error;
  }
}

function readStatement(bytes: Bytes, manifestId: string): Omit<RestoreOrder, 'signers'> {
  const { purpose, party, manifest, name, from, value, digest, nonce, reason, ...others } =
    parseJsonObject(decodeUtf8(bytes, 'restore order'), 'restore order');
  if (purpose !== 'reset-counter' || party !== OWNER || name !== ANCHOR_NAME)
    throw refused('it says something else');
  if (manifest !== manifestId) throw refused('under another manifest');
  if (typeof from !== 'number' || typeof value !== 'number') throw refused('from and value');
  if (typeof digest !== 'string' || typeof nonce !== 'string') throw refused('digest and nonce');
  if (typeof reason !== 'string' || !REASON.test(reason)) throw refused('a plain reason is needed');
  if (Object.keys(others).length > 0) throw refused('unknown members');
  return {
    from: { value: from, hash: decodeBase64url(nonce, 'nonce') },
    to: { value, hash: decodeHex(digest, 'digest') },
    reason,
  };
}

const refused = (why: string): ConfigError => new ConfigError(`restore: ${why}`);
