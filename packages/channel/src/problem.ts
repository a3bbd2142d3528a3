import { encodeUtf8 } from '@cloister/bytes';

/** Problem type of a key that the gateway cannot use (RFC 9458 section 5.3). */
export const KEY_PROBLEM = 'https://iana.org/assignments/http-problem-types#ohttp-key';
/** Problem type of a request whose Date is missing or far off (RFC 9458 section 6.5.2). */
export const DATE_PROBLEM = 'https://iana.org/assignments/http-problem-types#date';

/** The media type of problem details (RFC 9457). */
export const PROBLEM_TYPE = 'application/problem+json';

/** A problem as a response (RFC 9457); `type` is one of the above or `urn:cloister:<code>`. */
export function problemResponse(status: number, type: string, title: string): Response {
  return new Response(encodeUtf8(JSON.stringify({ type, title, status })), {
    status,
    headers: { 'content-type': PROBLEM_TYPE, 'cache-control': 'no-store' },
  });
}

/** What cannot be opened: one answer, whatever the reason was (no oracle). */
export function keyProblem(): Response {
  return problemResponse(400, KEY_PROBLEM, 'The request cannot be opened with a current key');
}

/** A request that is longer than the gateway takes. */
export function tooLarge(): Response {
  return problemResponse(413, 'urn:cloister:too_large', 'Request too large');
}
