import { isJsonObject, parseJsonObject, type JsonObject } from '@cloister/bytes';
import { startPassingHost, type PassingHost } from './passing-host.ts';

/** What such a host can alter. */
export type Alteration = 'quote' | 'token';

/** A host that alters what passes through it: the evidence on its way from the provider. */
export function startTamperingHost(target: string, what: Alteration): Promise<PassingHost> {
  return startPassingHost(target, async (url, pass) => {
    const answer = await pass();
    if (url !== '/attestation/evidence') return answer;
    return { ...answer, body: alter(answer.body, what) };
  });
}

/** Byte of MRENCLAVE in an SGX quote: header 48, MRENCLAVE at 64 of the body. */
const MRENCLAVE_AT = 112;

function alter(body: Uint8Array, what: Alteration): Uint8Array {
  const envelope = parseJsonObject(new TextDecoder().decode(body), 'evidence');
  return Buffer.from(
    JSON.stringify(what === 'quote' ? alterQuote(envelope) : alterToken(envelope)),
  );
}

function alterQuote(envelope: JsonObject): JsonObject {
  const { evidence } = envelope;
  const quote = Buffer.from(typeof evidence === 'string' ? evidence : '', 'base64url');
  quote[MRENCLAVE_AT] = (quote[MRENCLAVE_AT] ?? 0) ^ 1;
  return { ...envelope, evidence: quote.toString('base64url') };
}

/** The same token with another MRENCLAVE in its claims: the signature no longer fits. */
function alterToken(envelope: JsonObject): JsonObject {
  const list = Array.isArray(envelope['tokens']) ? envelope['tokens'] : [];
  const tokens = list.filter((token) => typeof token === 'string');
  return {
    ...envelope,
    tokens: tokens.map((token) => {
      const [header = '', payload = '', signature = ''] = token.split('.');
      const claims: unknown = JSON.parse(Buffer.from(payload, 'base64url').toString('utf8'));
      const changed = isJsonObject(claims)
        ? { ...claims, 'x-ms-sgx-mrenclave': '00'.repeat(32) }
        : {};
      return `${header}.${Buffer.from(JSON.stringify(changed)).toString('base64url')}.${signature}`;
    }),
  };
}
