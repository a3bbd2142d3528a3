import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { compilePolicy, policyHash } from '@cloister/attestation';
import { shared, sharedMissing } from '../../../../tests/shared.ts';
import { payloadOf } from '../answers.test.ts';
import { DEFAULT_POLICIES, DEFAULT_SGX_POLICY, unsecuredPolicy } from './default-policies.ts';

const recorded = (name: string) =>
  payloadOf(readFileSync(shared(`vectors/maa/tokens/${name}.jwt`), 'utf8').trim())['x-ms-policy'];

describe('the default policies', () => {
  it("have the hash that Azure Attestation's tokens carry", async () => {
    const hash = 'bROrN897ZfWmWY2V0FLUlu3uwk5xatGnKYHn3zBbSlw';
    assert.equal(await policyHash(DEFAULT_SGX_POLICY), hash);
  });

  it('stand in the JWS that the service served', { skip: sharedMissing }, () => {
    assert.equal(unsecuredPolicy(DEFAULT_SGX_POLICY), recorded('policy-get-sgx-shared'));
    assert.equal(unsecuredPolicy(undefined), recorded('policy-get-tpm-shared'));
  });

  it('permit; there is none for TPMs', () => {
    for (const [type, text] of Object.entries(DEFAULT_POLICIES))
      if (type === 'Tpm') assert.equal(text, undefined);
      else assert.ok(compilePolicy(text ?? '').evaluate([]).ok, type);
  });
});
