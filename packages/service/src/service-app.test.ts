import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseEnvelope, type EvidenceSource } from '@cloister/attestation';
import { encodeBase64url, MalformedError, type Bytes, type JsonValue } from '@cloister/bytes';
import { createServiceApp, type SeenRequest } from './service-app.ts';
import { UnavailableError } from './unavailable-error.ts';

const PORTAL = 'https://portal.example';
const ohttpKeys = Uint8Array.of(0, 1, 2);
const asked: (Bytes | undefined)[] = [];
const evidence: EvidenceSource = {
  ohttpKeys,
  evidence: (nonce) => {
    asked.push(nonce);
    return Promise.resolve({
      format: 'simulated-sgx-quote',
      evidence: Uint8Array.of(3),
      runtimeData: Uint8Array.of(4),
      tokens: ['t'],
    });
  },
};
const seen: SeenRequest[] = [];
const reported: [unknown, string][] = [];
const app = createServiceApp({
  service: 'records',
  evidence,
  gateway: { handle: async (request) => new Response(await request.bytes(), { status: 201 }) },
  cors: { origins: [PORTAL, 'https://second.example'] },
  health: () => ({ ready: false, parts: { store: false } }),
  observe: (one) => void seen.push(one),
  report: (error, route) => void reported.push([error, route]),
});
app.get('/fails/:how', (c) => {
  const failures = {
    input: new MalformedError('truncated', 'thing'),
    world: new UnavailableError('disk', 'store'),
    bug: new TypeError('CANARY'),
  };
  throw failures[c.req.param('how') as keyof typeof failures];
});
const bare = createServiceApp({
  service: 'records',
  cors: { origins: [] },
  health: () => ({ ready: true }),
});
const EVIDENCE = '/attestation/evidence';
const GATEWAY = '/.well-known/ohttp-gateway';
const post = (body: string | Bytes): RequestInit => ({ method: 'POST', body });

describe('the plain surface', () => {
  it('shows evidence, with the nonce of the caller where one is given', async () => {
    const get = await app.request(EVIDENCE);
    assert.equal(get.headers.get('cache-control'), 'no-store');
    assert.equal(parseEnvelope((await get.json()) as JsonValue).format, 'simulated-sgx-quote');
    const nonce = new Uint8Array(16).fill(7);
    await app.request(EVIDENCE, post(JSON.stringify({ nonce: encodeBase64url(nonce) })));
    assert.deepEqual(asked, [undefined, nonce]);
  });

  const bad: Readonly<Record<string, string>> = {
    'no JSON': 'x',
    'no nonce': '{}',
    'a number': '{"nonce":1}',
    'a short nonce': JSON.stringify({ nonce: encodeBase64url(new Uint8Array(15)) }),
    'a long nonce': JSON.stringify({ nonce: encodeBase64url(new Uint8Array(65)) }),
    'padded base64': '{"nonce":"AAAAAAAAAAAAAAAAAAAAAA=="}',
    'another member': '{"nonce":"AAAAAAAAAAAAAAAAAAAAAA","x":1}',
  };
  for (const [what, body] of Object.entries(bad))
    it(`refuses ${what} in place of a nonce`, async () => {
      const answer = await app.request(EVIDENCE, post(body));
      assert.equal(answer.status, 400);
      assert.equal(answer.headers.get('content-type'), 'application/problem+json');
      assert.match(await answer.text(), /"type":"urn:cloister:(bad_value|truncated)"/);
    });

  it('refuses a nonce request beyond its size', async () => {
    assert.equal((await app.request(EVIDENCE, post('x'.repeat(1025)))).status, 413);
  });

  it('gives the key configurations byte for byte, and messages to the gateway', async () => {
    const keys = await app.request(GATEWAY);
    assert.equal(keys.headers.get('content-type'), 'application/ohttp-keys');
    assert.deepEqual(new Uint8Array(await keys.arrayBuffer()), ohttpKeys);
    const answer = await app.request(GATEWAY, post(Uint8Array.of(9)));
    assert.equal(answer.status, 201);
    assert.deepEqual(new Uint8Array(await answer.arrayBuffer()), Uint8Array.of(9));
  });

  it('says whether it lives and whether it is ready', async () => {
    assert.equal((await app.request('/health/live')).status, 200);
    const ready = await app.request('/health/ready');
    assert.equal(ready.status, 503);
    assert.deepEqual(await ready.json(), { ready: false, parts: { store: false } });
    assert.equal((await bare.request('/health/ready')).status, 200);
  });

  it('says that it has no evidence and no channel', async () => {
    assert.equal((await bare.request(EVIDENCE)).status, 503);
    assert.equal((await bare.request(EVIDENCE, post('{}'))).status, 503);
    assert.equal((await bare.request(GATEWAY)).status, 404);
    assert.equal((await bare.request(GATEWAY, post('x'))).status, 404);
  });

  it('renders errors as problems without their messages, and reports those of its own', async () => {
    for (const [how, status, code] of [
      ['input', 400, 'truncated'],
      ['world', 503, 'disk'],
      ['bug', 500, 'internal'],
    ] as const) {
      const answer = await app.request(`/fails/${how}`);
      const text = await answer.text();
      assert.equal(answer.status, status);
      assert.ok(text.includes(`urn:cloister:${code}`) && !text.includes('CANARY'));
    }
    assert.deepEqual(
      reported.map(([error, route]) => [(error as Error).name, route]),
      [
        ['UnavailableError', '/fails/:how'],
        ['TypeError', '/fails/:how'],
      ],
    );
    assert.equal((await app.request('/nothing')).status, 404);
  });

  it('tells templates of routes, never paths', async () => {
    seen.length = 0;
    await app.request('/fails/bug?CANARY');
    await app.request('/CANARY');
    assert.ok(!JSON.stringify(seen).includes('CANARY'), JSON.stringify(seen));
    assert.deepEqual(
      seen.map(({ method, route, status }) => [method, route, status]),
      [
        ['GET', '/fails/:how', 500],
        ['GET', '/*', 404],
      ],
    );
  });
});

const originAt = async (origin?: string) => {
  const answer = await app.request(EVIDENCE, origin === undefined ? {} : { headers: { origin } });
  assert.equal(answer.headers.get('access-control-allow-credentials'), null);
  assert.match(answer.headers.get('vary') ?? '', /Origin/);
  return answer.headers.get('access-control-allow-origin');
};

describe('CORS', () => {
  it("names an origin of the portal's, never that of a stranger and never any", async () => {
    assert.equal(await originAt(), PORTAL);
    assert.equal(await originAt('https://second.example'), 'https://second.example');
    assert.equal(await originAt('https://evil.example'), PORTAL);
    assert.equal((await bare.request(EVIDENCE)).headers.get('access-control-allow-origin'), null);
  });

  it('stands on errors too, and answers preflights', async () => {
    for (const path of ['/nothing', '/fails/bug'])
      assert.equal((await app.request(path)).headers.get('access-control-allow-origin'), PORTAL);
    const preflight = await app.request(GATEWAY, {
      method: 'OPTIONS',
      headers: { origin: PORTAL, 'access-control-request-method': 'POST' },
    });
    assert.equal(preflight.status, 204);
    assert.equal(preflight.headers.get('access-control-allow-methods'), 'GET, POST');
    assert.match(preflight.headers.get('access-control-allow-headers') ?? '', /content-type/);
  });
});
