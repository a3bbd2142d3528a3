import { MalformedError } from '@cloister/bytes';

/**
 * The PEM text of an issuer chain header: Intel's servers percent-encode it (spec/evidence.md 3.4).
 * The first of the names that is there counts; undefined where none is.
 */
export function readIssuerChain(headers: Headers, names: readonly string[]): string | undefined {
  for (const name of names) {
    const value = headers.get(name);
    if (value === null) continue;
    try {
      return decodeURIComponent(value);
    } catch (error) {
      throw new MalformedError('bad_value', `header ${name}`, { cause: error });
    }
  }
  return undefined;
}
