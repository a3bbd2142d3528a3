import type { Bytes } from '@cloister/bytes';
import { requestId, VERSION } from './app.ts';

/**
 * The headers of answers to attest requests: those that the app's middleware gives, the portal's
 * origin (design 3.7) among them. A test compares the two.
 */
export function attestHeaders(
  origins: readonly string[],
  random: (length: number) => Bytes,
): (origin: string | undefined) => Readonly<Record<string, string>> {
  return (asked) => {
    const allowed = origins.find((origin) => origin === asked) ?? origins[0];
    return {
      'x-ms-request-id': requestId(random),
      'x-ms-maa-service-version': VERSION,
      'x-content-type-options': 'nosniff',
      ...(allowed === undefined ? {} : { 'access-control-allow-origin': allowed, vary: 'Origin' }),
    };
  };
}
