import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createAttestationClient } from './attestation-client.ts';

const EVIDENCE = { quote: Uint8Array.of(1), runtimeData: Uint8Array.of(2) };
const clientOf = (answer: (request: Request) => Promise<Response>) =>
  createAttestationClient({ baseUrl: 'https://attest.example/', transport: answer });
const json = (value: unknown, status = 200): Promise<Response> =>
  Promise.resolve(Response.json(value, { status }));

describe('createAttestationClient', () => {
  it('attests as Azure Attestation is asked', async () => {
    let url = '';
    let body: unknown;
    const client = clientOf(async (request) => {
      ({ url } = request);
      body = await request.json();
      return json({ token: 'a.b.c' });
    });
    assert.equal(await client.attest('Simulated', { ...EVIDENCE, nonce: 'n' }), 'a.b.c');
    assert.equal(url, 'https://attest.example/attest/Simulated?api-version=2022-08-01');
    assert.deepEqual(body, {
      quote: 'AQ',
      runtimeData: { data: 'Ag', dataType: 'JSON' },
      nonce: 'n',
    });
  });

  it('says what the service refused', async () => {
    const client = clientOf(() =>
      json({ error: { code: 'InvalidParameter', message: 'the quote is invalid' } }, 400),
    );
    await assert.rejects(client.attest('SgxEnclave', EVIDENCE), {
      code: 'invalid',
      issues: [{ code: 'InvalidParameter', text: 'the quote is invalid' }],
    });
  });

  it('refuses answers of other forms', async () => {
    for (const answer of [{}, { token: 7 }, { token: '' }, []])
      await assert.rejects(clientOf(() => json(answer)).attest('Simulated', EVIDENCE), {
        code: 'malformed_answer',
      });
    for (const answer of [{}, { keys: 7 }, { keys: ['x'] }])
      await assert.rejects(clientOf(() => json(answer)).certs(), { code: 'malformed_answer' });
  });

  it('asks for the collateral of one platform', async () => {
    let url = '';
    const client = clientOf((request) => {
      ({ url } = request);
      return json({ tcbInfo: '{}' });
    });
    await client.collateral('sgx', { fmspc: '00906ed50000', ca: 'processor' });
    assert.equal(url, 'https://attest.example/collateral/sgx?fmspc=00906ed50000&ca=processor');
  });
});
