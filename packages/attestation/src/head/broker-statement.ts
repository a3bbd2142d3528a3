import {
  canonicalJson,
  decodeUtf8,
  encodeUtf8,
  MalformedError,
  parseJson,
  type JsonObject,
} from '@cloister/bytes';
import { parseJws, signJws, verifyJws, type Jwk } from '@cloister/crypto';
import type { CheckList } from '../check-list.ts';
import type { TrustedManifest } from '../manifest/trusted-manifest.ts';
import { Shape } from '../shape.ts';

/** What a broker signs, each with a `typ` of its own: none can be taken for another. */
export type BrokerStatementTyp =
  | 'cloister-head+jws'
  | 'cloister-secret+jws'
  | 'cloister-counter+jws'
  | 'cloister-witness+jws';

/** The check that fails where a verified broker itself says no, with its code. */
export const BROKER_ANSWER = 'answer of the broker';

const MAX_STATEMENT = 256 * 1024;

/** Signs a statement as a broker: a compact JWS (ES256) over canonical JSON. */
export function signStatement(
  typ: BrokerStatementTyp,
  payload: JsonObject,
  key: CryptoKey,
): Promise<string> {
  return signJws({
    alg: 'ES256',
    key,
    header: { typ },
    payload: encodeUtf8(canonicalJson(payload)),
  });
}

/** The broker key that the manifest names for a party (design 2.1, rule 6). */
export function brokerKeyOf({ manifest }: TrustedManifest, party: string): Jwk | undefined {
  return Object.hasOwn(manifest.parties, party) ? manifest.parties[party]?.broker?.sig : undefined;
}

/**
 * Checks that the broker of a party signed this statement, and reads it. Undefined where a check
 * failed; which one stands in the list.
 */
export async function checkStatement<T>(
  list: CheckList,
  jws: string,
  options: {
    readonly manifest: TrustedManifest;
    readonly party: string;
    readonly typ: BrokerStatementTyp;
    readonly read: (payload: Shape) => T;
  },
): Promise<T | undefined> {
  const { manifest, party, typ, read } = options;
  const key = brokerKeyOf(manifest, party);
  if (!list.expect('broker named in the manifest', key !== undefined, 'broker_unknown') || !key)
    return undefined;
  const verdict = await verifyJws(jws, { key, algs: ['ES256'], typ });
  const signed = verdict.ok ? undefined : verdict.code;
  if (!list.expect('signed by that broker', verdict.ok, 'sender_foreign', signed) || !verdict.ok)
    return undefined;
  const content = readPayload(verdict.payload, typ, read);
  list.expect('form of the statement', content !== undefined, 'statement_malformed');
  return content;
}

/** The payload of a statement whose signature nobody has verified: to see whose it claims to be. */
export function peekStatement<T>(
  jws: string,
  typ: BrokerStatementTyp,
  read: (payload: Shape) => T,
): T {
  const { header, payload } = parseJws(jws);
  if (header['typ'] !== typ) throw new MalformedError('bad_value', typ);
  return read(shapeOf(payload, typ));
}

function readPayload<T>(payload: Uint8Array, typ: string, read: (s: Shape) => T): T | undefined {
  try {
    return read(shapeOf(payload, typ));
  } catch (error) {
    if (error instanceof MalformedError) return undefined;
    throw error;
  }
}

function shapeOf(payload: Uint8Array, typ: string): Shape {
  const limits = { maxDepth: 8, maxLength: MAX_STATEMENT };
  return new Shape(parseJson(decodeUtf8(payload, typ), typ, limits), typ);
}
