import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  anything,
  assert as check,
  asyncProperty,
  constantFrom,
  integer,
  json,
  oneof,
  record,
  string,
  uint8Array,
} from 'fast-check';
import { createSimulatedQuote } from '@cloister/attestation';
import { errorOf } from './answers.test.ts';
import { b64, makeDeps, makeSimulated, post } from './fixture.test.ts';
import { createApp } from './app.ts';
import { ATTEST_KINDS } from './kinds.ts';

/** Refused, in the form of all errors, and never as a failure of the service's own. */
const isRefused = async (answer: Response): Promise<void> => {
  const { status, message } = await errorOf(answer);
  assert.ok(status === 400 || status === 404, `${status} ${message}`);
};

describe('whatever is sent', async () => {
  const { app, platform, lines } = await makeSimulated();
  const hardware = createApp((await makeDeps()).deps);
  const quote = await createSimulatedQuote(platform, {
    mrenclave: '1a'.repeat(32),
    mrsigner: '2b'.repeat(32),
    isvProdId: 7,
    isvSvn: 9,
    reportData: new Uint8Array(64),
  });
  const kinds = constantFrom(...ATTEST_KINDS);
  const texts = oneof(string(), uint8Array({ maxLength: 300 }).map(b64));
  const requests = record(
    {
      quote: oneof(texts, anything()),
      report: oneof(texts, anything()),
      runtimeData: oneof(record({ data: texts, dataType: string() }), anything()),
      initTimeData: oneof(
        record({ data: texts, dataType: constantFrom('JSON', 'Binary') }),
        json(),
      ),
      nonce: oneof(string(), anything()),
      draftPolicyForAttestation: oneof(string(), anything()),
    },
    { requiredKeys: [] },
  );

  it('to attest is refused', () =>
    check(
      asyncProperty(kinds, oneof(requests, json(), string()), async (kind, body) => {
        const sent = typeof body === 'string' ? body : (JSON.stringify(body) ?? '');
        for (const one of [app, hardware])
          await isRefused(await one.request(`/attest/${kind}?api-version=2025-06-01`, post(sent)));
      }),
    ));

  it('as evidence that was genuine before it was changed is refused', () =>
    check(
      asyncProperty(
        integer({ min: 0, max: 1020 }),
        integer({ min: 1, max: 255 }),
        async (at, by) => {
          const changed = quote.slice();
          changed[at] = (changed[at] ?? 0) ^ by;
          // Of what no signature covers there are the lengths, and those must fit.
          const path = '/attest/Simulated?api-version=2025-06-01';
          await isRefused(await app.request(path, post({ quote: b64(changed) })));
        },
      ),
      { numRuns: 300 },
    ));

  it('cut short at any byte is refused', async () => {
    for (let length = 0; length < quote.length; length += 37) {
      const path = '/attest/Simulated?api-version=2025-06-01';
      await isRefused(await app.request(path, post({ quote: b64(quote.subarray(0, length)) })));
    }
  });

  it('to manage is refused, and changes nothing', () =>
    check(
      asyncProperty(
        constantFrom(
          '/policies/SgxEnclave',
          '/policies/SgxEnclave:reset',
          '/certificates:add',
          '/certificates:remove',
        ),
        oneof(
          string(),
          json(),
          texts.map((text) => `${text}.${text}.`),
        ),
        async (path, body) => {
          const method = path === '/policies/SgxEnclave' ? 'PUT' : 'POST';
          await isRefused(await app.request(`${path}?api-version=2022-08-01`, { method, body }));
        },
      ),
    ));

  it('fails nothing', () => {
    assert.ok(!lines.join('').includes('"event":"failed"'));
  });
});
