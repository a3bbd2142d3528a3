import { TamperedError } from '@cloister/sealing';
import { ConfigError, errorCode, errorPlace, StoreError } from '@cloister/service';
import { ANCHOR_NAME, restoreStatement } from '../restore/restore-order.ts';
import { RolledBackError } from '../store/rolled-back-error.ts';

/** Exit code of a start that found the data to be not what was written. */
const TAMPERED = 3;
const OTHERWISE = 2;

/**
 * Why the service does not start: an exit code, and words that hold no content. `manifest` is the id
 * of the manifest in force, where it was read already.
 */
export function startFailure(
  error: unknown,
  manifest = '',
): { readonly code: number; readonly reason: string } {
  if (error instanceof RolledBackError)
    return { code: TAMPERED, reason: rolledBack(error, manifest) };
  return { code: error instanceof TamperedError ? TAMPERED : OTHERWISE, reason: reasonOf(error) };
}

function rolledBack(
  { code, anchored, found, isOwnAnchor }: RolledBackError,
  manifest: string,
): string {
  const [last, had] = [found.position, anchored.value - 1];
  const what =
    code === 'log_truncated'
      ? `the database is older than what was anchored (log_truncated: it ends with entry ${last}, and entry ${had} was anchored)`
      : `the database is not the one that was anchored (entry_replaced: log entry ${had} is another)`;
  const statement = JSON.stringify(restoreStatement(anchored, found, manifest));
  const how = isOwnAnchor
    ? `more than half of the hospital's keys sign this statement with a reason, and --restore names the file with what they signed: ${statement}`
    : `the hospital tells its broker so: counter ${ANCHOR_NAME}, reset from ${anchored.value} to ${last + 1}: ${statement}`;
  return (
    `${what}. Nothing is served. Bring back the newest copy of the database. ` +
    `Only where there is none, what is missing can be given up: ${how}`
  );
}

function reasonOf(error: unknown): string {
  if (error instanceof TamperedError)
    return (
      `the stored records are not what this service wrote (${error.code}: ${error.where}). ` +
      'Nothing is served. Restore the data folder from a backup.'
    );
  if (error instanceof StoreError && error.code === 'in_use')
    return 'another process has the database open';
  if (error instanceof StoreError && error.code === 'full') return 'the storage is full';
  if (error instanceof StoreError) return `the database cannot be used (${error.code})`;
  if (error instanceof ConfigError) return error.message;
  return `${errorCode(error)} ${errorPlace(error)}`.trim();
}
