import { createHash } from 'node:crypto';
import {
  canonicalJson,
  decodeBase64url,
  encodeBase64url,
  encodeUtf8,
  isJsonObject,
  MalformedError,
  parseJson,
  type Bytes,
  type JsonValue,
} from '@cloister/bytes';
import { encryptJwe, type Jwk } from '@cloister/crypto';
import { BrokerError } from '../broker-error.ts';
import { splitSecret, type ShamirShare } from './shamir.ts';

/** What is kept of a set of shares: enough to know each of them, and nothing of the secret. */
export interface RecoverySet {
  readonly k: number;
  readonly n: number;
  /** SHA-256 of each share, lower hex: a share holds as much chance as the secret itself. */
  readonly commitments: readonly string[];
}

/** A share as a person keeps it. */
export interface Share extends ShamirShare {
  /** `cloister-share|k|n|setHash` (spec/key-broker.md 5.3). */
  readonly label: string;
}

const SHARE_TYP = 'cloister-share+jwe';

/** The label of a set's shares: it names this very set. */
export function labelOf({ k, n, commitments }: RecoverySet): string {
  const hash = createHash('sha256').update(canonicalJson({ k, n, commitments: [...commitments] }));
  return `cloister-share|${k}|${n}|${hash.digest('hex')}`;
}

/** Splits the key that seals the broker's state, one share to each person, by their own keys. */
export async function makeRecoverySet(
  key: Uint8Array,
  { k, recipients }: { readonly k: number; readonly recipients: readonly Jwk[] },
  random: (length: number) => Bytes,
): Promise<{ readonly set: RecoverySet; readonly shares: readonly string[] }> {
  const n = recipients.length;
  const points = splitSecret(key, { k, n }, random);
  const set = { k, n, commitments: points.map(commitmentOf) };
  const label = labelOf(set);
  const shares = await Promise.all(
    recipients.map((recipient, index) => {
      const share = points[index];
      if (share === undefined) throw new RangeError('shares: fewer than people');
      const plaintext = encodeUtf8(encodeShare({ label, ...share }));
      return encryptJwe({ key: recipient, header: { typ: SHARE_TYP }, plaintext, random });
    }),
  );
  return { set, shares };
}

/** A share as text: what is in the JWE, and what a person hands back. */
function encodeShare({ label, x, y }: Share): string {
  return canonicalJson({ label, x, y: encodeBase64url(y) });
}

/** Reads a share; MalformedError where it is none. */
export function parseShare(value: JsonValue): Share {
  if (!isJsonObject(value)) throw new MalformedError('bad_value', 'share');
  const { label, x, y, ...rest } = value;
  const good =
    typeof label === 'string' &&
    /^cloister-share\|\d{1,3}\|\d{1,3}\|[0-9a-f]{64}$/.test(label) &&
    typeof x === 'number' &&
    Number.isInteger(x) &&
    typeof y === 'string' &&
    Object.keys(rest).length === 0;
  if (!good) throw new MalformedError('bad_value', 'share');
  return { label, x, y: decodeBase64url(y, 'share') };
}

/** Checks that a share is one of this set, before it is used: BrokerError says what it is instead. */
export function checkShare(share: Share, set: RecoverySet): void {
  if (share.label !== labelOf(set)) throw new BrokerError('share_of_another_set');
  if (set.commitments[share.x - 1] !== commitmentOf(share)) throw new BrokerError('share_invalid');
}

/** The text of a set, as it is stored. */
export function encodeRecoverySet({ k, n, commitments }: RecoverySet): Bytes {
  return encodeUtf8(canonicalJson({ k, n, commitments: [...commitments] }));
}

/** Reads a set. It comes from the host: a wrong one makes recovery fail, and nothing worse. */
export function parseRecoverySet(text: string): RecoverySet {
  const value = parseJson(text, 'recovery set');
  const { k, n, commitments } = isJsonObject(value) ? value : {};
  const list = Array.isArray(commitments) ? commitments.filter((c) => typeof c === 'string') : [];
  if (typeof k !== 'number' || typeof n !== 'number' || list.length !== n || k < 2 || k > n)
    throw new MalformedError('bad_value', 'recovery set');
  return { k, n, commitments: list };
}

function commitmentOf({ x, y }: ShamirShare): string {
  return createHash('sha256').update(Uint8Array.of(x)).update(y).digest('hex');
}
