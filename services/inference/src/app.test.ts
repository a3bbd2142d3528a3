import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';
import { concatBytes, encodeHex, encodeUtf8 } from '@cloister/bytes';
import type { Fetch } from '@cloister/channel';
import { createInferenceClient, verifyReceipt } from '@cloister/client';
import {
  decodePixels,
  parseDicom,
  parseModelContract,
  prepareInput,
  wrapSecondaryCapture,
} from '@cloister/clinical';
import { sha256 } from '@cloister/crypto';
import { shared, sharedMissing } from '../../../tests/shared.ts';
import { contractText, createScene, NAME, now, random, VERSION, type Scene } from './scene.test.ts';

const SHAPE = [1, 1, 224, 224];
const COUNT = 224 * 224;
const contract = parseModelContract(contractText());
const ramp = (): Float32Array => Float32Array.from({ length: COUNT }, (_, i) => (i * 7) % 251);
const path = `https://inference/v2/models/${NAME}/versions/${VERSION}`;

let scene: Scene;
let call: Fetch;
before(async () => {
  scene = await createScene({ workers: 2 });
  call = await scene.connect();
});
after(() => scene.close());

/** The body of an inference request with what a test changes. */
function inferRequest(
  changes: {
    readonly data?: Float32Array;
    readonly header?: object;
    readonly input?: object;
    readonly length?: string;
  } = {},
): Request {
  const data = changes.data ?? ramp();
  const tensor = new Uint8Array(data.buffer.slice(0)) as Uint8Array<ArrayBuffer>;
  const json = encodeUtf8(
    JSON.stringify({
      id: 'r-1',
      parameters: { binary_data_output: true },
      inputs: [
        {
          name: 'image',
          shape: SHAPE,
          datatype: 'FP32',
          parameters: { binary_data_size: tensor.length },
          ...changes.input,
        },
      ],
      ...changes.header,
    }),
  );
  return new Request(`${path}/infer`, {
    method: 'POST',
    headers: { 'inference-header-content-length': changes.length ?? String(json.length) },
    body: concatBytes(json, tensor),
  });
}

async function codeOf(response: Response): Promise<[number, unknown]> {
  const { code } = (await response.json()) as { code: unknown };
  return [response.status, code];
}

const flip = (bytes: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> => {
  const changed = bytes.slice();
  changed[1_000_000] = (changed[1_000_000] ?? 0) ^ 1;
  return changed;
};

describe('the Open Inference Protocol inside the channel', () => {
  it('tells about server and model', async () => {
    const server = await call(new Request('https://inference/v2'));
    assert.deepEqual(await server.json(), {
      name: 'cloister-inference',
      version: '0.1.0',
      extensions: ['binary_tensor_data'],
    });
    const client = createInferenceClient(call);
    assert.equal(await client.ready(), true);
    assert.equal(await client.contract(NAME, VERSION), contractText());
    const metadata = await client.metadata(NAME, VERSION);
    assert.equal(metadata['name'], NAME);
    assert.deepEqual(metadata['inputs'], [
      { name: 'image', datatype: 'FP32', shape: [-1, 1, 224, 224] },
    ]);
    const ready = await call(new Request(`${path}/ready`));
    assert.deepEqual(await ready.json(), { name: NAME, ready: true });
  });

  it('answers with tensors and a receipt that verifies', async () => {
    const client = createInferenceClient(call);
    const peer = await scene.peer();
    const answer = await client.infer({
      model: NAME,
      version: VERSION,
      tensor: ramp(),
      shape: SHAPE,
      requestId: 'r-2',
    });
    assert.deepEqual(answer.outputs['cam']?.shape, [1, 3, 14, 14]);
    const probabilities = answer.outputs['probabilities']?.data ?? new Float32Array(0);
    assert.ok(Math.abs(probabilities.reduce((sum, p) => sum + p, 0) - 1) < 1e-5);
    const [model] = peer.models;
    const receipt = await verifyReceipt(answer.receipt, {
      sig: peer.sig,
      model: NAME,
      modelDigest: model?.digest ?? '',
      inputDigest: answer.inputDigest,
      outputDigest: answer.outputDigest,
      requestId: 'r-2',
      manifest: scene.manifest.id,
      simulated: true,
      evidenceDigest: peer.evidenceDigest,
      at: now(),
    });
    assert.ok(receipt.ok, JSON.stringify(receipt.checks));
  });

  it('names in the receipt the evidence that this caller was given', async () => {
    const mine = await scene.peer();
    await scene.peer();
    const parameters = { binary_data_output: true, evidence_digest: mine.evidenceDigest };
    const answer = await call(inferRequest({ header: { parameters } }));
    const length = Number(answer.headers.get('inference-header-content-length'));
    const json = new Uint8Array(await answer.arrayBuffer()).subarray(0, length);
    const head = JSON.parse(new TextDecoder().decode(json)) as {
      parameters: { receipt: string; evidence_digest: string };
    };
    assert.equal(head.parameters.evidence_digest, mine.evidenceDigest);
    const payload = head.parameters.receipt.split('.')[1] ?? '';
    const claims = JSON.parse(Buffer.from(payload, 'base64url').toString()) as object;
    assert.equal('evidenceDigest' in claims && claims.evidenceDigest, mine.evidenceDigest);
  });

  it('takes and gives JSON tensors too, with the same digests', async () => {
    const data = ramp();
    const rows = Array.from({ length: 224 }, (_, r) => [...data.subarray(224 * r, 224 * r + 224)]);
    const input = { name: 'image', shape: SHAPE, datatype: 'FP32', data: [[rows]] };
    const body = JSON.stringify({ inputs: [input], outputs: [{ name: 'probabilities' }] });
    const answer = await call(new Request(`${path}/infer`, { method: 'POST', body }));
    assert.equal(answer.status, 200);
    const json = (await answer.json()) as {
      id: string;
      outputs: { name: string; data: number[] }[];
      parameters: { receipt: string };
    };
    assert.equal(json.id, 'made-here');
    assert.deepEqual(
      json.outputs.map(({ name }) => name),
      ['probabilities'],
    );
    const payload = json.parameters.receipt.split('.')[1] ?? '';
    const claims = JSON.parse(Buffer.from(payload, 'base64url').toString()) as {
      inputDigest: string;
      outputDigest: string;
    };
    assert.equal(claims.inputDigest, encodeHex(await sha256(new Uint8Array(data.buffer))));
    const output = new Uint8Array(Float32Array.from(json.outputs[0]?.data ?? []).buffer);
    assert.equal(claims.outputDigest, encodeHex(await sha256(output)));
  });

  it('runs many at once', async () => {
    const answers = await Promise.all(Array.from({ length: 12 }, () => call(inferRequest())));
    assert.ok(answers.every(({ status }) => status === 200));
  });

  it('logs times and codes, nothing of the request', async () => {
    await call(inferRequest({ header: { id: 'CANARY-id' } }));
    await call(inferRequest({ input: { name: 'CANARY-name' } }));
    assert.ok(!scene.logged.join('').includes('CANARY'));
    assert.ok(scene.logged.some((line) => line.includes('"inferred"')));
  });
});

describe('bad inference requests', () => {
  const nan = ramp();
  nan[5] = Number.NaN;
  const infinite = ramp();
  infinite[5] = Number.POSITIVE_INFINITY;
  const outside = ramp();
  outside[5] = 256;
  const cases: readonly (readonly [string, Parameters<typeof inferRequest>[0], number, string])[] =
    [
      ['NaN', { data: nan }, 422, 'input_not_finite'],
      ['infinity', { data: infinite }, 422, 'input_not_finite'],
      ['a constant image', { data: new Float32Array(COUNT).fill(9) }, 422, 'input_constant'],
      ['values out of range', { data: outside }, 422, 'input_range'],
      ['another input', { input: { name: 'x' } }, 400, 'input_name'],
      ['another datatype', { input: { datatype: 'FP64' } }, 400, 'input_datatype'],
      ['another shape', { input: { shape: [1, 224, 224, 1] } }, 400, 'input_shape'],
      ['a batch', { input: { shape: [2, 1, 224, 224] } }, 400, 'input_shape'],
      ['a shape of text', { input: { shape: ['1', '1', '224', '224'] } }, 400, 'input_shape'],
      ['a wrong size', { input: { parameters: { binary_data_size: 4 } } }, 400, 'input_size'],
      ['too few bytes', { data: new Float32Array(8) }, 400, 'input_size'],
      ['data twice', { input: { data: [1] } }, 400, 'input_size'],
      ['two inputs', { header: { inputs: [{}, {}] } }, 400, 'header_invalid'],
      ['no inputs', { header: { inputs: [] } }, 400, 'header_invalid'],
      ['an id with spaces', { header: { id: 'a b' } }, 400, 'header_invalid'],
      ['an unknown output', { header: { outputs: [{ name: 'logits' }] } }, 400, 'output_unknown'],
      [
        'an output twice',
        { header: { outputs: [{ name: 'cam' }, { name: 'cam' }] } },
        400,
        'header_invalid',
      ],
      ['a header length beyond the body', { length: '999999999' }, 400, 'header_length'],
      ['a header length that is no number', { length: '1e3' }, 400, 'header_length'],
      ['a header cut short', { length: '40' }, 400, 'header_invalid'],
      [
        'evidence of somebody else',
        { header: { parameters: { evidence_digest: '00'.repeat(32) } } },
        409,
        'evidence_unknown',
      ],
    ];
  for (const [name, changes, status, code] of cases) {
    it(`refuses ${name}`, async () => {
      assert.deepEqual(await codeOf(await call(inferRequest(changes))), [status, code]);
    });
  }

  it('refuses a body that is too large', async () => {
    const body = new Uint8Array(2_000_000);
    const answer = await call(new Request(`${path}/infer`, { method: 'POST', body }));
    assert.deepEqual(await codeOf(answer), [413, 'too_large']);
  });

  it('refuses JSON with more numbers than the shape has, deep nesting, and rubbish', async () => {
    const input = { name: 'image', shape: SHAPE, datatype: 'FP32' };
    for (const data of ['[1,2,3]', `[${'1,'.repeat(COUNT)}1]`, '"x"', '[[[[[[[[[[1]]]]]]]]]]']) {
      const body = JSON.stringify({ inputs: [input] }).replace('}]}', `,"data":${data}}]}`);
      const answer = await call(new Request(`${path}/infer`, { method: 'POST', body }));
      assert.equal(answer.status, 400);
    }
    const rubbish = await call(new Request(`${path}/infer`, { method: 'POST', body: random(500) }));
    assert.deepEqual(await codeOf(rubbish), [400, 'header_invalid']);
  });

  it('knows no other model and no other route', async () => {
    const other = await call(new Request('https://inference/v2/models/other/versions/1'));
    assert.deepEqual(await codeOf(other), [404, 'model_not_found']);
    const version = await call(new Request(`https://inference/v2/models/${NAME}/versions/9`));
    assert.deepEqual(await codeOf(version), [404, 'model_not_found']);
    assert.deepEqual(await codeOf(await call(new Request('https://inference/x'))), [
      404,
      'not_found',
    ]);
  });
});

describe('who may call', () => {
  it('refuses a caller without token and signature', async () => {
    const open = await scene.connectUnsigned();
    assert.deepEqual(await codeOf(await open(inferRequest())), [401, 'call_token_missing']);
    assert.deepEqual(await codeOf(await open(new Request(path))), [401, 'call_token_missing']);
    // Server metadata and health are for everybody in the channel.
    assert.equal((await open(new Request('https://inference/v2/health/ready'))).status, 200);
  });

  it('refuses a good token with the signature of another key', async () => {
    const thief = scene.stranger.sigKey.privateKey;
    const stolen = await scene.connect({
      signCall: { key: thief, token: () => scene.records.token() },
    });
    assert.deepEqual(await codeOf(await stolen(inferRequest())), [401, 'call_signature']);
  });

  it('refuses another service with a good token and signature of its own', async () => {
    const { sigKey } = scene.stranger;
    const other = await scene.connect({
      signCall: { key: sigKey.privateKey, token: () => scene.stranger.token() },
    });
    const [status] = await codeOf(await other(inferRequest()));
    assert.equal(status, 401);
  });

  it('refuses a token whose claims were changed', async () => {
    const forged = async (): Promise<string> => {
      const [header, payload = '', signature] = (await scene.records.token()).split('.');
      const claims = Buffer.from(payload, 'base64url')
        .toString()
        .replace('"x-ms-sgx-svn":1', '"x-ms-sgx-svn":9');
      return `${header}.${Buffer.from(claims).toString('base64url')}.${signature}`;
    };
    const cheat = await scene.connect({
      signCall: { key: scene.records.sigKey.privateKey, token: forged },
    });
    const [status] = await codeOf(await cheat(inferRequest()));
    assert.equal(status, 401);
  });

  it('answers nothing of it outside the channel', async () => {
    const { pathname } = new URL(path);
    const answer = await scene.app.request(`${pathname}/infer`, { method: 'POST', body: 'x' });
    assert.equal(answer.status, 404);
  });
});

describe('a model that is not the agreed one', () => {
  it('is not loaded, not in the runtime data, and ready says so', async () => {
    const other = await createScene({ model: flip });
    try {
      assert.deepEqual((await other.peer()).models, []);
      const channel = await other.connect();
      const ready = await channel(new Request('https://inference/v2/health/ready'));
      assert.equal(ready.status, 503);
      assert.equal(((await ready.json()) as { ready: boolean }).ready, false);
      const model = await channel(new Request(`${path}/ready`));
      assert.equal(model.status, 503);
      assert.deepEqual(await model.json(), { name: NAME, ready: false, reason: 'digest_mismatch' });
      assert.deepEqual(await codeOf(await channel(inferRequest())), [503, 'model_not_ready']);
      assert.equal((await other.app.request('/health/ready')).status, 503);
    } finally {
      await other.close();
    }
  });
});

describe('probabilities of the radiographs', { skip: sharedMissing }, () => {
  if (sharedMissing) return;
  const lines = readFileSync(shared('vectors/imaging/labels.csv'), 'utf8').trim().split('\n');
  const rows = new Map<string, readonly number[]>(
    lines.slice(1).map((line) => {
      const [file = '', , , , ...numbers] = line.split(',');
      return [file, numbers.slice(0, 3).map(Number)];
    }),
  );
  const entries = JSON.parse(readFileSync(shared('vectors/dicom/manifest.json'), 'utf8')) as {
    file: string;
    png?: string;
  }[];
  const dicoms = entries.filter(({ file, png }) => file.startsWith('cxr/') && png !== undefined);
  assert.equal(rows.size, 14);
  assert.equal(dicoms.length, 6);

  for (const [file, expected] of rows) {
    it(`${file} as Secondary Capture`, async () => {
      const image = readFileSync(shared(`vectors/imaging/${file}`));
      const uid = { study: '2.25.1', series: '2.25.2', instance: '2.25.3' };
      agree(await probabilitiesOf(await wrapSecondaryCapture({ image, uid })), expected);
    });
  }
  for (const { file, png = '' } of dicoms) {
    it(`${file} as ${png}`, async () => {
      const bytes = readFileSync(shared(`vectors/dicom/${file}`));
      agree(await probabilitiesOf(bytes), rows.get(png.replace('imaging/', '')));
    });
  }
});

async function probabilitiesOf(part10: Uint8Array): Promise<readonly number[]> {
  const file = parseDicom(part10);
  const { outputs } = await createInferenceClient(call).infer({
    model: NAME,
    version: VERSION,
    tensor: prepareInput(await decodePixels(file), contract),
    shape: SHAPE,
    requestId: 'image',
  });
  return Array.from(outputs['probabilities']?.data ?? []);
}
const agree = (given: readonly number[], expected: readonly number[] = []): void => {
  assert.equal(given.length, 3);
  for (const [i, p] of given.entries()) assert.ok(Math.abs(p - (expected[i] ?? 9)) < 1e-3);
};
