import type { Bytes } from '@cloister/bytes';
import type { Fetch } from '@cloister/channel';

/** The browser's network: no cookies, no cache, no redirects, no referrer. */
export const browserTransport: Fetch = (request) =>
  fetch(request, {
    credentials: 'omit',
    cache: 'no-store',
    redirect: 'error',
    referrerPolicy: 'no-referrer',
  });

/** The browser's random numbers. */
export function browserRandom(length: number): Bytes {
  return crypto.getRandomValues(new Uint8Array(length));
}

/** The browser's clock. */
export function browserNow(): Date {
  return new Date();
}

/** Loads `cloister.json` from the portal's own origin. */
export async function loadSettings(): Promise<string> {
  const response = await fetch('/cloister.json', { cache: 'no-store', redirect: 'error' });
  if (!response.ok) throw new TypeError(`settings answered ${response.status}`);
  return response.text();
}
