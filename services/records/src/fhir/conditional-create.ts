import { RefusedError } from '../refused-error.ts';
import type { Directory, Known } from '../store/directory.ts';
import { parseSearch, runSearch, type Search } from './search.ts';

/**
 * The condition of a create (FHIR R4, http 3.1.0.8.1): `If-None-Exist: identifier=system|value`. Who
 * got no answer asks the same again with it, and nothing is created twice. Undefined without one.
 */
export function createCondition(type: string, header: string | undefined): Search | undefined {
  if (header === undefined) return undefined;
  const search = parseSearch(type, new URLSearchParams(header.replace(/^\?/, '')), true);
  if (search.conditions.length === 0)
    throw new RefusedError('bad_request', 'If-None-Exist without a condition');
  return search;
}

/** The resource that is there already; RefusedError `several_matches` where the condition fits more. */
export function existingMatch(
  directory: Directory,
  condition: Search | undefined,
): Known | undefined {
  if (condition === undefined) return undefined;
  const [match, ...others] = runSearch(directory, condition);
  if (others.length > 0) throw new RefusedError('several_matches');
  return match;
}
