import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { createSimulatedQuote } from '@cloister/attestation';
import { type Jwk, parseCertificate, spkiFromJwk } from '@cloister/crypto';
import { shared, sharedMissing } from '../../../tests/shared.ts';
import { errorOf, SGX, SIMULATED } from './answers.test.ts';
import { createApp } from './app.ts';
import { b64, BASE_URL, key, makeDeps, makeSimulated, PORTAL, post } from './fixture.test.ts';

describe('the documents', async () => {
  const { deps } = await makeDeps();
  const app = createApp(deps);

  it('publishes the key as JWK and in a certificate of the base URL', async () => {
    const answer = await app.request('/certs');
    assert.match(answer.headers.get('content-type') ?? '', /^application\/json; charset=utf-8$/);
    const { keys } = (await answer.json()) as { keys: (Jwk & { x5c: string[] })[] };
    const [jwk] = keys;
    assert.ok(jwk);
    assert.deepEqual(
      [keys.length, jwk.kid, jwk.kty, jwk.alg, jwk.use],
      [1, key.kid, 'RSA', 'RS256', 'sig'],
    );
    const certificate = parseCertificate(new Uint8Array(Buffer.from(jwk.x5c[0] ?? '', 'base64')));
    assert.equal(certificate.subjectCommonName, BASE_URL);
    assert.equal(certificate.issuerCommonName, BASE_URL);
    assert.deepEqual(certificate.spki, spkiFromJwk(jwk));
    assert.equal(certificate.extensions.has('1.3.6.1.4.1.311.105.1'), false);
  });

  it('names itself in the OpenID metadata', { skip: sharedMissing }, async () => {
    const answer = await app.request('/.well-known/OpenID-configuration');
    const real = readFileSync(
      shared('vectors/maa/tokens/openid-configuration-shared.json'),
      'utf8',
    );
    const { issuer } = JSON.parse(real) as { issuer: string };
    assert.deepEqual(await answer.json(), JSON.parse(real.replaceAll(issuer, BASE_URL)));
  });

  it('carries the headers of the real service, and allows the portal only', async () => {
    for (const [path, init] of [
      ['/certs', {}],
      [SGX, post('{}')],
      ['/attest/nothing', post('{}')],
    ] as const) {
      const { headers } = await app.request(path, init);
      assert.match(headers.get('x-ms-request-id') ?? '', /^00-[0-9a-f]{32}-[0-9a-f]{16}-00$/);
      assert.match(headers.get('x-ms-maa-service-version') ?? '', /^\d+\.\d+\.\d+\.\d+$/);
      assert.equal(headers.get('access-control-allow-origin'), PORTAL);
      assert.equal(headers.get('access-control-allow-credentials'), null);
    }
    const preflight = await app.request(SGX, {
      method: 'OPTIONS',
      headers: { origin: 'https://evil.example', 'access-control-request-method': 'POST' },
    });
    assert.equal(preflight.status, 204);
    assert.equal(preflight.headers.get('access-control-allow-origin'), PORTAL);
  });

  it('says what it does not do', async () => {
    for (const kind of ['AzureGuest', 'tpm']) {
      const path = `/attest/${kind}?api-version=2025-06-01`;
      const { status, code, message } = await errorOf(await app.request(path, post('{}')));
      assert.deepEqual([status, code], [400, 'InvalidOperation']);
      assert.match(message, /does not attest/);
    }
    const wrong = [
      ['/attest/Nothing', post('{}'), 404],
      ['/attest/SgxEnclave', {}, 405],
      ['/policies/Nothing', {}, 404],
      ['/policies/SgxEnclave', { method: 'DELETE' }, 405],
      ['/certificates:other', post('{}'), 404],
    ] as const;
    for (const [path, init, status] of wrong) {
      const answer = await app.request(path, init);
      assert.equal(answer.status, status, path);
    }
    assert.equal((await app.request('/nothing')).status, 404);
    assert.equal((await app.request('/attestation/evidence')).status, 503);
  });

  it('refuses a question for collateral that it cannot read, or has none for', async () => {
    for (const [query, status] of [
      ['', 400],
      ['?fmspc=00906ed50000', 400],
      ['?fmspc=00906ed5000g&ca=processor', 400],
      ['?fmspc=00906ed50000&ca=other', 400],
      ['?fmspc=00906ed50000&ca=processor', 404],
    ] as const)
      assert.equal((await app.request(`/collateral/sgx${query}`)).status, status);
  });

  it('answers with no internals when something unforeseen fails', async () => {
    const broken = await makeSimulated({
      appraise: () => {
        throw new TypeError('CANARY');
      },
    });
    const reportData = new Uint8Array(64);
    const quote = await createSimulatedQuote(broken.platform, {
      mrenclave: '1a'.repeat(32),
      mrsigner: '2b'.repeat(32),
      isvProdId: 1,
      isvSvn: 1,
      reportData,
    });
    const answer = await broken.app.request(SIMULATED, post({ quote: b64(quote) }));
    assert.deepEqual(await errorOf(answer), {
      status: 500,
      code: 'InternalServerError',
      message: 'Internal error',
    });
    assert.ok(broken.lines.join('').includes('"event":"failed"'));
    assert.ok(!broken.lines.join('').includes('CANARY'));
  });
});
