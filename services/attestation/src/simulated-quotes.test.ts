import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createSimulatedQuote, intelCollateralOf, platformCollateral } from '@cloister/attestation';
import { decodeUtf8, encodeUtf8, type JsonObject } from '@cloister/bytes';
import { sha256 } from '@cloister/crypto';
import { errorOf, OE, payloadOf, SGX, SIMULATED, tokenOf } from './answers.test.ts';
import { createApp } from './app.ts';
import { b64, makeDeps, makeSimulated, post } from './fixture.test.ts';

describe('attesting simulated quotes', async () => {
  const { app, platform, deps } = await makeSimulated();
  const runtime = encodeUtf8('{"b":1,"a":{"__proto__":[2]}}');
  const reportData = new Uint8Array(64);
  reportData.set(await sha256(runtime));
  const facts = {
    mrenclave: '1a'.repeat(32),
    mrsigner: '2b'.repeat(32),
    isvProdId: 7,
    isvSvn: 9,
    reportData,
  };
  const quote = b64(await createSimulatedQuote(platform, facts));
  const body = { quote, runtimeData: { data: b64(runtime), dataType: 'JSON' }, nonce: 'n' };

  it('says in the token that they are simulated', async () => {
    const payload = payloadOf(await tokenOf(await app.request(SIMULATED, post(body))));
    assert.equal(payload['x-ms-attestation-type'], 'simulated');
    assert.equal(payload['tee'], 'simulated');
    assert.equal(payload['x-ms-sgx-mrenclave'], facts.mrenclave);
    assert.equal(payload['x-ms-sgx-product-id'], 7);
    assert.equal(payload['nonce'], 'n');
    assert.deepEqual(payload['x-ms-runtime'], JSON.parse(decodeUtf8(runtime)));
  });

  it('does not take them for SGX, nor on an instance that verifies hardware', async () => {
    for (const path of [SGX, OE]) {
      const member = path === OE ? { report: quote } : body;
      const error = await errorOf(await app.request(path, post(member)));
      assert.equal(error.code, 'InvalidOperation');
    }
    const hardware = await makeDeps({ collateral: deps.collateral, now: deps.now });
    const strict = createApp(hardware.deps);
    assert.equal(
      (await errorOf(await strict.request(SIMULATED, post(body)))).code,
      'InvalidOperation',
    );
    const { code, message } = await errorOf(await strict.request(SGX, post(body)));
    assert.equal(code, 'InvalidParameter');
    assert.match(message, /pck\.chain/);
  });

  it('does not take those of another machine', async () => {
    const other = await makeSimulated();
    const foreign = await makeDeps({
      now: deps.now,
      roots: deps.roots,
      collateral: other.deps.collateral,
    });
    const theirs = b64(await createSimulatedQuote(other.platform, facts));
    const answer = await createApp(foreign.deps).request(SIMULATED, post({ quote: theirs }));
    assert.match((await errorOf(answer)).message, /pck\.chain/);
  });

  it('gives the collateral by which they verify', async () => {
    const { tcbInfo } = JSON.parse(platformCollateral(platform).tcbInfo) as {
      tcbInfo: { fmspc: string };
    };
    const answer = await app.request(
      `/collateral/SGX?fmspc=${tcbInfo.fmspc.toUpperCase()}&ca=Platform`,
    );
    assert.equal(answer.status, 200);
    const collateral = intelCollateralOf((await answer.json()) as JsonObject);
    assert.deepEqual(collateral, platformCollateral(platform));
  });
});
