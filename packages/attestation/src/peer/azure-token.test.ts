import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseJsonObject, type JsonObject, type JsonValue } from '@cloister/bytes';
import { jwkThumbprint } from '@cloister/crypto';
import { CLAIMS } from '../azure-hcl/forge.test.ts';
import { AT } from '../snp/forge.test.ts';
import { agreementOf, createAzureStage, IDENTITY } from './azure-scene.test.ts';
import { assertOnlyFailed, createScene, ISSUER, makeToken, publicJwk } from './scene.test.ts';
import type { Verification } from '../verification.ts';
import type { VerifiedCaller } from './verified-peer.ts';
import { verifyCaller } from './verify-caller.ts';

const POLICY = 'p'.repeat(43);
const issuerScene = await createScene();
const { issuerKeys } = issuerScene;
const issuerJwk = await publicJwk(issuerKeys, { kid: 'k1' });
const issuer = {
  iss: ISSUER,
  keys: [await jwkThumbprint(issuerJwk)],
  policyHash: POLICY,
  tee: ['sevsnpvm'],
};
const { stage, manifest, change, verify } = await createAzureStage([issuer]);
const envelope = await change();
const verified = await verify(envelope);
assert.ok(verified.ok && verified.claims.claims.tee === 'azure-cvm');
const { hardware } = verified.claims.claims;
assert.ok(hardware.tee === 'snp');

/** What Azure Attestation writes of such a machine: AMD's report, and the claims of the paravisor. */
const PAYLOAD: JsonObject = {
  iss: ISSUER,
  exp: AT.getTime() / 1000 + 3600,
  'x-ms-attestation-type': 'sevsnpvm',
  'x-ms-policy-hash': POLICY,
  'x-ms-compliance-status': 'azure-compliant-cvm',
  'x-ms-runtime': parseJsonObject(CLAIMS),
  'x-ms-sevsnpvm-is-debuggable': false,
  'x-ms-sevsnpvm-migration-allowed': false,
  'x-ms-sevsnpvm-reportdata': hardware.reportData,
  'x-ms-sevsnpvm-guestsvn': hardware.guestSvn,
  'x-ms-sevsnpvm-vmpl': 0,
  'x-ms-sevsnpvm-launchmeasurement': hardware.measurement,
  'x-ms-sevsnpvm-hostdata': hardware.hostData,
  'x-ms-sevsnpvm-idkeydigest': hardware.idKeyDigest,
  'x-ms-sevsnpvm-authorkeydigest': hardware.authorKeyDigest,
  'x-ms-sevsnpvm-reportid': hardware.reportId,
  'x-ms-sevsnpvm-bootloader-svn': hardware.reportedTcb.bootloader,
  'x-ms-sevsnpvm-tee-svn': hardware.reportedTcb.tee,
  'x-ms-sevsnpvm-snpfw-svn': hardware.reportedTcb.snp,
  'x-ms-sevsnpvm-microcode-svn': hardware.reportedTcb.microcode,
};
const tokenWith = (changes: JsonObject = {}) =>
  makeToken({ ...issuerScene, manifest }, { ...PAYLOAD, ...changes });

const judgeBeside = async (changes: JsonObject = {}) =>
  verify(
    { ...envelope, tokens: [await tokenWith(changes)] },
    { issuerKeys: [issuerJwk], requireToken: true },
  );

async function judgeAlone(
  changes: JsonObject = {},
  identities: readonly JsonObject[] = [IDENTITY],
): Promise<Verification<VerifiedCaller>> {
  return verifyCaller(await tokenWith(changes), {
    manifest: await stage.manifestWith(agreementOf(identities, [issuer])),
    service: 'records',
    issuerKeys: [issuerJwk],
    at: AT,
  });
}

describe('a token about a confidential VM of Azure, beside its evidence', () => {
  it('agrees where it speaks of the same paravisor and the same vTPM', async () => {
    const result = await judgeBeside();
    assert.ok(result.ok, JSON.stringify(result.checks));
    assert.equal(result.claims.tokenClaims?.['x-ms-attestation-type'], 'sevsnpvm');
  });

  const CODE = ['code: token names this code', 'token_code_mismatch'] as const;
  const DATA = ['channel: token runtime data', 'token_runtime_mismatch'] as const;
  const REPORT = ['channel: token report data', 'token_report_data_mismatch'] as const;
  const wrong: readonly (readonly [string, JsonValue, readonly [string, string]])[] = [
    ['x-ms-sevsnpvm-launchmeasurement', '00'.repeat(48), CODE],
    ['x-ms-sevsnpvm-hostdata', '01'.repeat(32), CODE],
    ['x-ms-sevsnpvm-vmpl', 2, CODE],
    ['x-ms-sevsnpvm-is-debuggable', true, CODE],
    ['x-ms-sevsnpvm-reportdata', '00'.repeat(64), REPORT],
    ['x-ms-runtime', { keys: [] }, DATA],
    ['x-ms-runtime', { ...parseJsonObject(CLAIMS), 'user-data': 'CD'.repeat(64) }, DATA],
  ];
  for (const [name, value, [check, code]] of wrong)
    it(`is refused with another ${name}`, async () => {
      assertOnlyFailed(await judgeBeside({ [name]: value }), check, code);
    });
});

describe('verifyCaller of a confidential VM of Azure', () => {
  it('says that a token of its processor shows no registers', async () => {
    const result = await judgeAlone();
    assert.equal(result.ok ? 'ok' : result.code, 'token_without_pcrs');
  });

  it('says so of the token of a guest too, which names registers without their values', async () => {
    const guest = { 'x-ms-attestation-type': 'azurevm', secureboot: true };
    const result = await judgeAlone(guest);
    assertOnlyFailed(result, 'hardware: token claims', 'token_without_pcrs');
  });

  it('does not take the paravisor for the service, where somebody names it as one', async () => {
    const result = await judgeAlone({}, [{ ...IDENTITY.paravisor }]);
    assert.ok(!result.ok);
    const failed = result.checks.filter(({ outcome }) => outcome === 'failed');
    // Its runtime data are the paravisor's: they are not ours, and say nothing of our keys.
    assert.deepEqual(
      failed.map(({ check }) => check),
      ['channel: report data', 'channel: runtime data'],
    );
  });
});
