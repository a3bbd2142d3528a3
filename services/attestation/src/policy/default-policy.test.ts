import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { shared, sharedMissing } from '../../../../tests/shared.ts';
import { createDefaultPolicy, DEFAULT_SGX_POLICY, policyHash } from './default-policy.ts';

const policyText = (name: string) =>
  readFileSync(shared(`vectors/maa/policies/${name}.txt`), 'utf8');

describe('the default policy', () => {
  it("has the hash that Azure Attestation's tokens carry", async () => {
    const hash = 'bROrN897ZfWmWY2V0FLUlu3uwk5xatGnKYHn3zBbSlw';
    assert.equal(await policyHash(DEFAULT_SGX_POLICY), hash);
    assert.equal((await createDefaultPolicy()).hash, hash);
  });

  it('is the text that the service served', { skip: sharedMissing }, async () => {
    assert.equal(DEFAULT_SGX_POLICY, policyText('01-default-sgx-2022-live'));
    const draft = policyText('04-draft-permit-debug-sdk');
    assert.equal(await policyHash(draft), '1wKUrF_E0X5CZUM9OMIF1PH3qn5iykWY_bWgBbiWJZ0');
  });

  it('issues the older name of each claim that is there, and nothing else', async () => {
    const policy = await createDefaultPolicy();
    const issued = await policy.issueClaims({
      'x-ms-attestation-type': 'sgx',
      'x-ms-sgx-is-debuggable': false,
      'x-ms-sgx-svn': 0,
      'x-ms-ver': '1.0',
    });
    assert.deepEqual(issued, { tee: 'sgx', 'is-debuggable': false, svn: 0 });
  });
});
