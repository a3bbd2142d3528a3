import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { concatBytes, encodeHex, encodeUtf8, type Bytes, type JsonObject } from '@cloister/bytes';
import { sha256 } from '@cloister/crypto';
import { createInferenceClient, type InferRequest } from './inference-client.ts';

const REQUEST: InferRequest = {
  model: 'm',
  version: '1',
  tensor: Float32Array.of(1, -2, 0.5, 255),
  shape: [1, 1, 2, 2],
  requestId: 'r-1',
};
const floats = (...values: number[]): Bytes => {
  const bytes = new Uint8Array(values.length * 4);
  values.forEach((value, i) => new DataView(bytes.buffer).setFloat32(i * 4, value, true));
  return bytes;
};
const output = (name: string, shape: number[], extra: JsonObject = {}): JsonObject => ({
  name,
  shape,
  datatype: 'FP32',
  parameters: { binary_data_size: 4 * shape.reduce((a, b) => a * b, 1) },
  ...extra,
});
const HEADER: JsonObject = {
  id: 'r-1',
  model_name: 'm',
  model_version: '1',
  parameters: { receipt: 'a.b.c' },
  outputs: [output('probabilities', [1, 3]), output('cam', [1, 1, 1, 2])],
};
const TENSORS = floats(0.1, 0.2, 0.7, 3, 4);

function answer(header: JsonObject, tensors: Bytes, length?: string): Response {
  const json = encodeUtf8(JSON.stringify(header));
  return new Response(concatBytes(json, tensors), {
    headers: { 'inference-header-content-length': length ?? String(json.length) },
  });
}
const inferWith = (response: Response) =>
  createInferenceClient(() => Promise.resolve(response)).infer(REQUEST);

describe('createInferenceClient', () => {
  it('names the evidence that the receipt is to name', async () => {
    let header: JsonObject = {};
    const client = createInferenceClient(async (request) => {
      const length = Number(request.headers.get('inference-header-content-length'));
      const body = new Uint8Array(await request.arrayBuffer()).subarray(0, length);
      header = JSON.parse(new TextDecoder().decode(body)) as JsonObject;
      return answer(HEADER, TENSORS);
    });
    await client.infer({ ...REQUEST, evidenceDigest: 'e'.repeat(64) });
    assert.deepEqual(header['parameters'], {
      binary_data_output: true,
      evidence_digest: 'e'.repeat(64),
    });
  });

  it('sends the tensor little-endian behind its header, and reads the answer likewise', async () => {
    let sent: Request | undefined;
    const client = createInferenceClient((request) => {
      sent = request;
      return Promise.resolve(answer(HEADER, TENSORS));
    });
    const result = await client.infer(REQUEST);
    assert.ok(sent);
    assert.equal(new URL(sent.url).pathname, '/v2/models/m/versions/1/infer');
    const body = new Uint8Array(await sent.arrayBuffer());
    const length = Number(sent.headers.get('inference-header-content-length'));
    const header = JSON.parse(new TextDecoder().decode(body.subarray(0, length))) as JsonObject;
    assert.deepEqual(header, {
      id: 'r-1',
      parameters: { binary_data_output: true },
      inputs: [
        {
          name: 'image',
          shape: [1, 1, 2, 2],
          datatype: 'FP32',
          parameters: { binary_data_size: 16 },
        },
      ],
    });
    assert.deepEqual(body.subarray(length), floats(1, -2, 0.5, 255));
    assert.deepEqual(result.outputs['cam'], { shape: [1, 1, 1, 2], data: Float32Array.of(3, 4) });
    assert.deepEqual(result.outputs['probabilities']?.shape, [1, 3]);
    assert.equal(result.receipt, 'a.b.c');
    assert.equal(result.inputDigest, encodeHex(await sha256(floats(1, -2, 0.5, 255))));
    assert.equal(result.outputDigest, encodeHex(await sha256(TENSORS)));
  });

  it('refuses a shape that does not fit the tensor before anything is sent', async () => {
    const client = createInferenceClient(() => assert.fail('sent'));
    await assert.rejects(client.infer({ ...REQUEST, shape: [1, 3] }), { code: 'invalid' });
  });

  it('refuses answers whose parts do not add up', async () => {
    const { parameters: _, ...noReceipt } = HEADER;
    const bad: Response[] = [
      answer(HEADER, TENSORS, ''),
      answer(HEADER, TENSORS, '-1'),
      answer(HEADER, TENSORS, '999999'),
      answer(HEADER, TENSORS, '1e2'),
      new Response(TENSORS),
      answer(HEADER, TENSORS.subarray(0, 19)),
      answer(HEADER, concatBytes(TENSORS, Uint8Array.of(0))),
      answer({ ...HEADER, id: 'r-2' }, TENSORS),
      answer({ ...HEADER, model_name: 'other' }, TENSORS),
      answer({ ...HEADER, model_version: '2' }, TENSORS),
      answer({ ...HEADER, outputs: [] }, new Uint8Array()),
      answer(noReceipt, TENSORS),
      answer({ ...HEADER, parameters: { receipt: '' } }, TENSORS),
      answer({ ...HEADER, outputs: [output('a', [1, 3]), output('a', [2])] }, TENSORS),
      answer({ ...HEADER, outputs: [output('a', [5], { datatype: 'FP64' })] }, TENSORS),
      answer({ ...HEADER, outputs: [output('a', [-5])] }, TENSORS),
      answer(
        { ...HEADER, outputs: [output('a', [5], { parameters: { binary_data_size: 24 } })] },
        TENSORS,
      ),
    ];
    for (const [i, response] of bad.entries())
      await assert.rejects(inferWith(response), { code: 'malformed_answer' }, `answer ${i}`);
  });

  it('refuses every shorter prefix of a good answer', async () => {
    const whole = new Uint8Array(await answer(HEADER, TENSORS).arrayBuffer());
    const length = String(whole.length - TENSORS.length);
    for (let end = 0; end < whole.length; end++) {
      const response = new Response(whole.subarray(0, end), {
        headers: { 'inference-header-content-length': length },
      });
      await assert.rejects(inferWith(response), { code: 'malformed_answer' });
    }
  });

  it('says what a refusal says', async () => {
    const refusal = Response.json(
      { type: 'urn:cloister:input-refused', title: 'Constant input', status: 422 },
      { status: 422 },
    );
    await assert.rejects(inferWith(refusal), {
      code: 'invalid',
      status: 422,
      issues: [{ code: 'input-refused', text: 'Constant input' }],
    });
  });
});
