import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createSimulatedQuote } from '@cloister/attestation';
import { encodeUtf8, type JsonObject } from '@cloister/bytes';
import { sha256 } from '@cloister/crypto';
import { errorOf } from './answers.test.ts';
import { b64, makeSimulated, post } from './fixture.test.ts';
import { nobody } from './management/authorize.ts';

const PATH = '/explain?api-version=2025-06-01';

interface Explained {
  readonly outcome: string;
  readonly error?: { code: string; reason: string };
  readonly verification?: { check: string; outcome: string; code?: string }[];
  readonly appraisal?: { ok: boolean; findings: string[] };
  readonly policy?: {
    readonly hash: string;
    readonly permitted: boolean;
    readonly message?: string;
    readonly issued?: JsonObject;
    readonly rules: {
      readonly verb: string;
      readonly fired: boolean;
      readonly text: string;
      readonly conditions: {
        held: boolean;
        nearMisses: { type: string; value: unknown; failed: string }[];
      }[];
    }[];
  };
}

describe('explaining an attestation', async () => {
  const { app, platform } = await makeSimulated();
  const runtime = encodeUtf8('{"a":1}');
  const reportData = new Uint8Array(64);
  reportData.set(await sha256(runtime));
  const facts = { mrenclave: '1a'.repeat(32), mrsigner: '2b'.repeat(32), isvProdId: 7, isvSvn: 9 };
  const quote = await createSimulatedQuote(platform, { ...facts, reportData });
  const request = { attestationType: 'simulated', quote: b64(quote) };
  const ask = async (body: unknown): Promise<Explained> => {
    const answer = await app.request(PATH, post(body));
    assert.equal(answer.status, 200);
    return (await answer.json()) as Explained;
  };

  it('lists every check, rule and claim of one that is issued, and gives no token', async () => {
    const result = await ask(request);
    assert.equal(result.outcome, 'issued');
    assert.ok(result.verification?.every(({ outcome }) => outcome === 'passed'));
    assert.equal(result.appraisal?.ok, true);
    assert.equal(result.policy?.hash, 'bROrN897ZfWmWY2V0FLUlu3uwk5xatGnKYHn3zBbSlw');
    assert.ok(result.policy.rules.every(({ fired }) => fired));
    assert.equal(result.policy.issued?.['product-id'], 7);
    assert.ok(!JSON.stringify(result).includes('token"'));
  });

  it('tells which rule did not permit, and by what it missed', async () => {
    const draftPolicyForAttestation =
      'version=1.0;authorizationrules{[type=="x-ms-sgx-svn", value>=10] => permit();};';
    const { outcome, error, policy } = await ask({ ...request, draftPolicyForAttestation });
    assert.equal(outcome, 'refused');
    assert.deepEqual(
      [error?.code, error?.reason],
      ['PolicyEvaluationError', 'policy_not_permitted'],
    );
    const [rule] = policy?.rules ?? [];
    assert.equal(rule?.fired, false);
    assert.deepEqual(rule.conditions[0]?.nearMisses, [
      { type: 'x-ms-sgx-svn', value: 9, issuer: 'AttestationService', failed: 'value>=10' },
    ]);
  });

  it('tells which check of the evidence failed, and which were not made', async () => {
    const changed = quote.slice();
    changed[112] = (changed[112] ?? 0) ^ 1;
    const { outcome, verification, policy } = await ask({ ...request, quote: b64(changed) });
    assert.equal(outcome, 'refused');
    assert.equal(verification?.find((one) => one.outcome === 'failed')?.code, 'quote.signature');
    assert.ok(verification.some((one) => one.outcome === 'skipped'));
    assert.equal(policy, undefined);
  });

  it('tells what the appraisal found', async () => {
    const strict = await makeSimulated({
      appraise: () => ({
        ok: false,
        code: 'policy.debug',
        checks: [{ check: 'not debuggable', outcome: 'failed', code: 'policy.debug' }],
        findings: ['debug'],
      }),
    });
    const theirs = await createSimulatedQuote(strict.platform, { ...facts, reportData });
    const answer = await strict.app.request(PATH, post({ ...request, quote: b64(theirs) }));
    const { error, appraisal } = (await answer.json()) as Explained;
    assert.equal(error?.reason, 'policy.debug');
    assert.deepEqual(appraisal?.findings, ['debug']);
  });

  it('asks for the role of a reader, unless the policy came with the request', async () => {
    const closed = await makeSimulated({ authorize: nobody });
    const { status } = await errorOf(await closed.app.request(PATH, post(request)));
    assert.equal(status, 401);
    const draft = { ...request, draftPolicyForAttestation: 'version=1.0;' };
    assert.equal((await closed.app.request(PATH, post(draft))).status, 200);
  });

  it('refuses a body that it cannot read', async () => {
    for (const body of ['{', { quote: b64(quote) }, { ...request, attestationType: 'Tpm' }])
      assert.equal((await errorOf(await app.request(PATH, post(body)))).code, 'InvalidParameter');
    assert.equal((await errorOf(await app.request('/explain', post(request)))).status, 400);
  });

  it('sees runtime data as read-only text', async () => {
    const draftPolicyForAttestation = `version=1.2;authorizationrules{
      c:[type=="x-ms-runtime"] => add(type="a", value=JsonToClaimValue(JmesPath(c.value, "a")));
      [type=="a", value==1] => permit();};issuancerules{c:[type=="a"] => issue(claim=c);};`;
    const runtimeData = { data: b64(runtime), dataType: 'JSON' };
    const { error } = await ask({ ...request, runtimeData, draftPolicyForAttestation });
    assert.equal(error?.reason, 'policy_failed');
    const permitting = draftPolicyForAttestation.replace(/issuancerules.*$/s, '');
    const good = await ask({ ...request, runtimeData, draftPolicyForAttestation: permitting });
    assert.equal(good.outcome, 'issued');
  });
});
