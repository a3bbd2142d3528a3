/**
 * An answer that says what went wrong (RFC 9457). `code` is a stable snake_case code; `detail`
 * names structures and rules, never what the caller sent.
 */
export function problem(
  status: number,
  code: string,
  detail?: string,
  headers: Readonly<Record<string, string>> = {},
): Response {
  const body = {
    type: `urn:cloister:${code}`,
    title: code.replaceAll(/[_-]/g, ' '),
    status,
    ...(detail === undefined ? {} : { detail }),
  };
  return new Response(JSON.stringify(body), {
    status,
    headers: {
      ...headers,
      'content-type': 'application/problem+json',
      'cache-control': 'no-store',
    },
  });
}
