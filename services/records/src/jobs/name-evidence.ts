import {
  concatBytes,
  decodeUtf8,
  encodeUtf8,
  isJsonObject,
  MalformedError,
  parseJsonObject,
} from '@cloister/bytes';
import type { Fetch } from '@cloister/channel';

const HEADER = 'inference-header-content-length';

/**
 * A channel whose inference requests say which of the provider's evidence the receipt shall name
 * (`parameters.evidence_digest`). Evidence is made anew for each caller; without this the receipt
 * names the newest, which may be what another job of ours has asked for.
 */
export function nameEvidence(channel: Fetch, evidenceDigest: string): Fetch {
  return async (request) => {
    const length = Number(request.headers.get(HEADER) ?? Number.NaN);
    if (request.method !== 'POST' || !Number.isInteger(length)) return channel(request);
    const body = new Uint8Array(await request.arrayBuffer());
    if (length > body.length) throw new MalformedError('truncated', 'inference header');
    const header = parseJsonObject(decodeUtf8(body.subarray(0, length)), 'inference header');
    const given = isJsonObject(header['parameters']) ? header['parameters'] : {};
    const parameters = { ...given, evidence_digest: evidenceDigest };
    const text = encodeUtf8(JSON.stringify({ ...header, parameters }));
    const headers = new Headers(request.headers);
    headers.set(HEADER, String(text.length));
    const sent = concatBytes(text, body.subarray(length));
    return channel(new Request(request.url, { method: 'POST', headers, body: sent }));
  };
}
