import type { PartyKeys } from '@cloister/attestation';
import { isJsonObject, MalformedError, parseJson, type JsonValue } from '@cloister/bytes';

/** Whom this build trusts (design 2.1, rule 2): compiled in, never loaded. */
export interface Pins {
  /** Keys of each party; the hospital's own must be among them. */
  readonly parties: PartyKeys;
  /** The portal takes no manifest below this serial. */
  readonly lowestSerial: number;
}

/** The relying party that this portal belongs to. */
export const OWN_PARTY = 'hospital';

/**
 * Reads the pins of the build: `{"parties": {"hospital": [JWK, …], …}, "lowestSerial": n}`.
 * Nothing there (a build without them) gives undefined; anything malformed throws.
 */
export function parsePins(text: string): Pins | undefined {
  const json = parseJson(text, 'pins');
  if (json === null) return undefined;
  if (!isJsonObject(json)) throw new MalformedError('bad_value', 'pins');
  const { parties, lowestSerial } = json;
  if (!isJsonObject(parties ?? null)) throw new MalformedError('bad_value', 'pins: parties');
  if (typeof lowestSerial !== 'number' || !Number.isSafeInteger(lowestSerial) || lowestSerial < 1)
    throw new MalformedError('bad_value', 'pins: lowestSerial');
  const entries = Object.entries(parties ?? {}).map(
    ([party, keys]) => [party, keysOf(keys)] as const,
  );
  const read = Object.fromEntries(entries);
  if ((read[OWN_PARTY] ?? []).length === 0)
    throw new MalformedError('bad_value', `pins: no key of ${OWN_PARTY}`);
  return { parties: read, lowestSerial };
}

function keysOf(keys: JsonValue): PartyKeys[string] {
  if (!Array.isArray(keys)) throw new MalformedError('bad_value', 'pins: keys');
  return keys.map((key) => {
    const kty = isJsonObject(key) ? key['kty'] : undefined;
    if (!isJsonObject(key) || typeof kty !== 'string')
      throw new MalformedError('bad_value', 'pins: key');
    return { ...key, kty };
  });
}
