import { createHash, timingSafeEqual } from 'node:crypto';
import { AzureError } from '../azure-error.ts';

/** What a caller may do: read policies, or change them. */
export type Role = 'read' | 'write';

/** Decides who may manage. Gives the caller's name for the audit; AzureError where it may not. */
export type Authorize = (authorization: string | undefined, role: Role) => Promise<string>;

/** No one may: there is neither an identity provider nor a development token. */
export const nobody: Authorize = () => Promise.reject(unauthorized('no_identity_provider'));

/** Anyone may: for development, where it is said at start. */
export const anybody: Authorize = () => Promise.resolve('anybody');

/** Whoever has the development token may do everything. */
export function holderOf(token: string): Authorize {
  const expected = digest(`Bearer ${token}`);
  return (authorization) =>
    authorization !== undefined && timingSafeEqual(digest(authorization), expected)
      ? Promise.resolve('development-token')
      : Promise.reject(unauthorized('bad_bearer'));
}

/** The answer to a missing, invalid or insufficient bearer: 401, also where a role is missing. */
export function unauthorized(reason: string): AzureError {
  return new AzureError(
    'Unauthorized',
    'The caller is not authorized: a valid bearer token with the role for this operation is required',
    reason,
  );
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
