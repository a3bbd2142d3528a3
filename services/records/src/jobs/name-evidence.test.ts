import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { concatBytes, encodeUtf8, type JsonObject } from '@cloister/bytes';
import { createInferenceClient } from '@cloister/client';
import { nameEvidence } from './name-evidence.ts';

const HEADER = 'inference-header-content-length';

/** What came through, as its header and its tensor. */
async function send(request: Request): Promise<{ header: JsonObject; tensor: Uint8Array }> {
  let seen: { header: JsonObject; tensor: Uint8Array } | undefined;
  const fetch = nameEvidence(async (sent) => {
    const bytes = new Uint8Array(await sent.arrayBuffer());
    const length = Number(sent.headers.get(HEADER) ?? 0);
    const header =
      length === 0
        ? {}
        : (JSON.parse(Buffer.from(bytes.subarray(0, length)).toString()) as JsonObject);
    seen = { header, tensor: bytes.subarray(length) };
    return new Response(null, { status: 503 });
  }, 'e'.repeat(64));
  await fetch(request);
  return seen ?? assert.fail();
}
const post = (header: JsonObject, tensor: Uint8Array, length?: number) => {
  const text = encodeUtf8(JSON.stringify(header));
  const headers = { [HEADER]: String(length ?? text.length) };
  const body = concatBytes(text, tensor);
  return new Request('https://inference/v2/models/m/versions/1/infer', {
    method: 'POST',
    headers,
    body,
  });
};

describe('nameEvidence', () => {
  it('adds the digest and leaves everything else', async () => {
    const tensor = Uint8Array.of(1, 2, 3, 4);
    const { header, tensor: sent } = await send(post({ id: 'é', parameters: { a: 1 } }, tensor));
    assert.deepEqual(header, { id: 'é', parameters: { a: 1, evidence_digest: 'e'.repeat(64) } });
    assert.deepEqual(sent, tensor);
  });

  it('lets requests without tensors pass', async () => {
    const { tensor } = await send(new Request('https://inference/v2/health/ready'));
    assert.equal(tensor.length, 0);
  });

  it('refuses a header that is longer than the request', async () => {
    await assert.rejects(send(post({}, new Uint8Array(0), 100)), { code: 'truncated' });
  });

  it('works with what the client library sends', async () => {
    let header: JsonObject = {};
    const client = createInferenceClient(
      nameEvidence(async (sent) => {
        const bytes = new Uint8Array(await sent.arrayBuffer());
        const length = Number(sent.headers.get(HEADER));
        header = JSON.parse(Buffer.from(bytes.subarray(0, length)).toString()) as JsonObject;
        assert.equal(bytes.length - length, 16);
        return new Response(null, { status: 503 });
      }, 'e'.repeat(64)),
    );
    const tensor = new Float32Array(4);
    const request = { model: 'm', version: '1', tensor, shape: [4], requestId: 'r' };
    await assert.rejects(client.infer(request), { code: 'server_error' });
    assert.equal((header['parameters'] as JsonObject)['evidence_digest'], 'e'.repeat(64));
    assert.equal(header['id'], 'r');
  });
});
