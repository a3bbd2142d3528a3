import {
  decodeBase64url,
  decodeUtf8,
  encodeBase64url,
  encodeUtf8,
  type Bytes,
} from '@cloister/bytes';
import { AttesterError, type Secrets } from '@cloister/attester';
import * as v from 'valibot';
import type { TokenAlgorithm } from './signing-key.ts';

/** A key as the sealed secrets keep it. Times are seconds since 1970. */
export interface KeptKey {
  readonly alg: TokenAlgorithm;
  readonly pkcs8: Bytes;
  /** From when on it signs; it is published before. */
  readonly from: number;
}

const SECRET = 'token-signing-keys';
const SCHEMA = v.strictObject({
  keys: v.array(
    v.strictObject({
      alg: v.picklist(['RS256', 'ES256']),
      pkcs8: v.string(),
      from: v.pipe(v.number(), v.integer()),
    }),
  ),
});

/** The keys of earlier starts and of other replicas; none where nothing was kept yet. */
export async function readKeys(secrets: Pick<Secrets, 'get'>): Promise<KeptKey[]> {
  let sealed: Bytes;
  try {
    sealed = await secrets.get(SECRET);
  } catch (error) {
    if (error instanceof AttesterError && error.code === 'secret_missing') return [];
    throw error;
  }
  const json: unknown = JSON.parse(decodeUtf8(sealed, 'signing keys'));
  return v
    .parse(SCHEMA, json)
    .keys.map(({ pkcs8, ...key }) => ({ ...key, pkcs8: decodeBase64url(pkcs8, 'signing key') }));
}

/** Keeps the keys, in place of those that were there. */
export async function writeKeys(
  secrets: Required<Secrets>,
  keys: readonly KeptKey[],
): Promise<void> {
  const list = keys.map(({ pkcs8, ...key }) => ({ ...key, pkcs8: encodeBase64url(pkcs8) }));
  await secrets.put(SECRET, encodeUtf8(JSON.stringify({ keys: list })));
}
