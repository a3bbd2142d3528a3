import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { AttestationClient } from '@azure/attestation';
import { createSimulatedQuote } from '@cloister/attestation';
import { encodeUtf8 } from '@cloister/bytes';
import { sha256 } from '@cloister/crypto';
import { serve, type Serving } from '@cloister/service';
import { sharedMissing } from '../../../tests/shared.ts';
import { createApp } from './app.ts';
import {
  makeDeps,
  makeSimulated,
  recordedCollateral,
  RECORDED,
  sharedBytes,
  storeOf,
} from './fixture.test.ts';

/** The client has no hook for another clock: its check of exp and nbf is done here instead. */
const validationOptions = {
  validateToken: true,
  validateExpirationTime: false,
  validateNotBeforeTime: false,
};

describe('the unmodified @azure/attestation client', { skip: sharedMissing }, () => {
  let serving: Serving;
  let client: AttestationClient;

  before(async () => {
    if (sharedMissing !== false) return;
    let app: { fetch(request: Request): Response | Promise<Response> } | undefined;
    serving = await serve({
      app: { fetch: (request) => app?.fetch(request) ?? new Response(null, { status: 503 }) },
      port: 0,
    });
    const { deps } = await makeDeps({
      baseUrl: serving.url,
      collateral: storeOf(recordedCollateral()),
    });
    app = createApp(deps);
    client = new AttestationClient(serving.url, {
      allowInsecureConnection: true,
      retryOptions: { maxRetries: 0 },
      validationOptions: {
        ...validationOptions,
        validateIssuer: true,
        expectedIssuer: serving.url,
      },
    });
  });
  after(() => serving.close());

  it('attests an SGX enclave and verifies the token', async () => {
    const { token, body } = await client.attestSgxEnclave(
      sharedBytes('maa/sdk/sgx-nondebug.quote.bin'),
      { runTimeJson: sharedBytes('maa/sdk/oe-debug.runtimedata.bin') },
    );
    assert.equal(token.algorithm, 'RS256');
    assert.equal(body.issuer, serving.url);
    assert.equal(body.verifierType, 'sgx');
    assert.equal(body.isDebuggable, false);
    assert.ok(body.mrEnclave?.startsWith('b7792026'));
    assert.equal(body.policyHash.length, 32);
    assert.deepEqual(Object.keys(body.runTimeClaims ?? {}), ['jwk']);
    assert.equal(token.issuedAt?.getTime(), RECORDED.getTime());
  });

  it('attests an Open Enclave report with held data', async () => {
    const held = sharedBytes('maa/sdk/oe-debug.runtimedata.bin');
    const { body } = await client.attestOpenEnclave(sharedBytes('maa/sdk/oe-debug.report.bin'), {
      runTimeData: held,
    });
    assert.equal(body.isDebuggable, true);
    assert.deepEqual(new Uint8Array(body.enclaveHeldData ?? []), held);
  });

  it('reads the signers and the metadata', async () => {
    const [signer] = await client.getAttestationSigners();
    assert.match(signer?.certificates[0] ?? '', /BEGIN CERTIFICATE/);
    const { issuer } = (await client.getOpenIdMetadata()) as { issuer: string };
    assert.equal(issuer, serving.url);
  });

  it('gets an error it understands', async () => {
    const bad = sharedBytes('maa/sdk/sgx-debug.quote.bin');
    bad[112] = (bad[112] ?? 0) ^ 1;
    await assert.rejects(client.attestSgxEnclave(bad), {
      name: 'RestError',
      statusCode: 400,
      code: 'InvalidParameter',
    });
  });

  it('checks the dates itself, with its own defaults', async () => {
    const { app, platform } = await makeSimulated({ now: () => new Date() });
    const runtime = encodeUtf8('{}');
    const reportData = new Uint8Array(64);
    reportData.set(await sha256(runtime));
    const facts = {
      mrenclave: '1a'.repeat(32),
      mrsigner: '2b'.repeat(32),
      isvProdId: 1,
      isvSvn: 1,
    };
    const quote = await createSimulatedQuote(platform, { ...facts, reportData });
    // The client knows no simulated evidence: here its SGX call is led to the simulated kind.
    const other = await serve({
      app: {
        fetch: (request) => {
          const url = request.url.replace('/attest/SgxEnclave', '/attest/Simulated');
          return app.fetch(new Request(url, request));
        },
      },
      port: 0,
    });
    try {
      const ordinary = new AttestationClient(other.url, { allowInsecureConnection: true });
      const { body } = await ordinary.attestSgxEnclave(quote, { runTimeJson: runtime });
      assert.equal(body.verifierType, 'simulated');
    } finally {
      await other.close();
    }
  });
});
