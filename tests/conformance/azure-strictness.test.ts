/** How strict the service is where nobody asked for less. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { AttestationAdministrationClient, AttestationClient } from '@azure/attestation';
import { shared, sharedMissing } from '../shared.ts';
import { startAttestation } from './attestation-process.ts';

const vector = (path: string): Uint8Array => readFileSync(shared(`vectors/maa/${path}`));
/** When Intel's collateral in `vectors/sgx` is good for FMSPC 00906ed50000. */
const AT = '1749668926';
const NO_RETRY = { retryOptions: { maxRetries: 0 } };

describe('an instance with no development options', { skip: sharedMissing }, () => {
  it('refuses debuggable enclaves and a TCB that is out of date, and all management', async () => {
    const running = await startAttestation('--port', '0', '--collateral', shared('vectors/sgx'));
    try {
      const common = { ...NO_RETRY, allowInsecureConnection: true };
      const client = new AttestationClient(running.url, common);
      const quote = vector('sdk/sgx-nondebug.quote.bin');
      await assert.rejects(client.attestSgxEnclave(quote), { statusCode: 400 });
      const admin = new AttestationAdministrationClient(running.url, undefined as never, common);
      await assert.rejects(admin.getPolicy('SgxEnclave'), {
        statusCode: 401,
        code: 'Unauthorized',
      });
    } finally {
      assert.equal(await running.stop(), 0);
    }
  });

  it('is as strict about the TCB in development, unless told', async () => {
    const running = await startAttestation(
      '--port',
      '0',
      '--development',
      '--verification-time',
      AT,
      '--collateral',
      shared('vectors/sgx'),
      '--permit-debug-evidence',
    );
    try {
      const client = new AttestationClient(running.url, {
        ...NO_RETRY,
        allowInsecureConnection: true,
      });
      await assert.rejects(client.attestSgxEnclave(vector('sdk/sgx-nondebug.quote.bin')), {
        statusCode: 400,
        code: 'InvalidParameter',
        message: /does not meet the Azure baseline requirements/,
      });
    } finally {
      await running.stop();
    }
  });
});
