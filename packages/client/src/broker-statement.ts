import { canonicalJson, encodeUtf8, type JsonObject } from '@cloister/bytes';
import { signJws } from '@cloister/crypto';

/** The `typ` of what a party says to its broker: its signature is good for nothing else. */
export const PARTY_STATEMENT_TYP = 'cloister-party+jws';

/** What a party may ask of its own broker; each statement is good for one of them. */
export type PartyPurpose =
  | 'import-secret'
  | 'rotate-secret'
  | 'destroy-secret'
  | 'recovery-set'
  | 'reset-counter'
  | 'override-witness'
  | 'admit-machine'
  | 'vault-import';

/** What a party says, as each of its keys signs it. */
export type PartyStatement = {
  readonly purpose: PartyPurpose;
  readonly party: string;
  /** Id of the manifest in force. */
  readonly manifest: string;
} & JsonObject;

/**
 * What one key of a party says to the party's broker. More than half of the party's keys must sign
 * the very same statement: `nonce` is one that the broker gave for it.
 */
export function signPartyStatement(statement: PartyStatement, key: CryptoKey): Promise<string> {
  const header = { typ: PARTY_STATEMENT_TYP };
  return signJws({ alg: 'ES256', key, header, payload: encodeUtf8(canonicalJson(statement)) });
}
