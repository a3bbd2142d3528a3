import { TamperedError } from '@cloister/sealing';
import { ConfigError, errorCode, errorPlace, StoreError } from '@cloister/service';

/** Exit code of a start that found the data to be not what was written. */
const TAMPERED = 3;
const OTHERWISE = 2;

/** Why the service does not start: an exit code, and words that hold no content. */
export function startFailure(error: unknown): { readonly code: number; readonly reason: string } {
  return { code: error instanceof TamperedError ? TAMPERED : OTHERWISE, reason: reasonOf(error) };
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
