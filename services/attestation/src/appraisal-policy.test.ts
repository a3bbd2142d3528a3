import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type Identity, type Manifest, type TcbStatus } from '@cloister/attestation';
import { appraisalPolicyOf } from './appraisal-policy.ts';

const sgx = (tcb?: TcbStatus[]): Identity => ({
  tee: 'sgx',
  mrenclave: ['ab'.repeat(32)],
  isvProdId: 1,
  minIsvSvn: 1,
  ...(tcb === undefined ? {} : { tcb }),
});
const manifest = (evidence: Manifest['evidence'], ...anyOf: Identity[]) =>
  ({ evidence, services: { records: { identity: { anyOf } } } }) as unknown as Manifest;

describe('appraisalPolicyOf', () => {
  it("is the library's default where there is no manifest", () => {
    assert.deepEqual(appraisalPolicyOf(undefined), {});
  });

  it('takes the sort of evidence and the lowest number from the manifest', () => {
    const hardware = manifest({
      roots: 'hardware',
      platforms: 'any',
      minTcbEvaluationDataNumber: 17,
    });
    assert.deepEqual(appraisalPolicyOf(hardware), {
      roots: 'hardware',
      tcb: { minEvaluationDataNumber: 17 },
    });
    const simulated = manifest({ roots: { simulated: ['00'] }, platforms: 'any' });
    assert.equal(appraisalPolicyOf(simulated).roots, 'simulated');
  });

  it('accepts a TCB status that some service may have, and never a debuggable enclave', () => {
    const policy = appraisalPolicyOf(
      manifest({ roots: 'hardware', platforms: 'any' }, sgx(), sgx(['ConfigurationNeeded'])),
    );
    assert.deepEqual(policy.tcb?.accepted, [
      'ConfigurationNeeded',
      'SWHardeningNeeded',
      'UpToDate',
    ]);
    assert.equal(policy.allowDebug, undefined);
  });
});
