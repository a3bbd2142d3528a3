import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import * as library from '@jmespath-community/jmespath';
import {
  boundJmesPath,
  compilePolicy,
  encodeBundle,
  intelEntry,
  type CompiledPolicy,
} from '@cloister/attestation';
import { asBytes } from '@cloister/bytes';
import { shared, sharedMissing } from '../../../../tests/shared.ts';
import { CommandError } from '../command-error.ts';
import { explainPolicy, type ExplainOptions } from './explain-policy.ts';
import { describeOutcome } from './print-explanation.ts';

const MAIN = fileURLToPath(new URL('../main.ts', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'cloister-policy-'));
const file = (name: string, text: string): string => {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
};
const cloister = (...args: string[]) => {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    ['--conditions=@cloister/source', MAIN, 'policy', ...args],
    { encoding: 'utf8' },
  );
  return { status, stdout, stderr };
};
const text = (name: string) => readFileSync(shared(`vectors/sgx/collateral/${name}`), 'utf8');
const bytes = (name: string) => asBytes(readFileSync(shared(`vectors/sgx/collateral/${name}`)));
/** Intel's collateral for the quotes of `vectors/maa`, good in June 2025. */
const bundle = (): string =>
  encodeBundle([
    intelEntry({
      tcbInfo: text('tcbinfo-00906ed50000-v3-ev17-2025-05-27.json'),
      tcbInfoChain: text('tcb-signing-2025.pem'),
      qeIdentity: text('qe-ev17-2025-05-27.json'),
      qeIdentityChain: text('tcb-signing-2025.pem'),
      pckCrl: bytes('crl-processor-2025-05-27-44f02b.der'),
      rootCaCrl: bytes('crl-root-2025-03-20-ad6f3f.der'),
    }),
  ]);
const compile = (source: string) => compilePolicy(source, { jmesPath: boundJmesPath(library) });
const fixture = (name: string) =>
  compile(readFileSync(shared(`vectors/maa/policies/${name}.txt`), 'utf8'));
const explain = (policy: CompiledPolicy, changes: Partial<ExplainOptions>) =>
  explainPolicy(policy, {
    collateral: [],
    simulatedRoots: [],
    at: new Date(1_749_668_926_000),
    ...changes,
  });

after(() => rmSync(folder, { recursive: true }));

describe('cloister policy', () => {
  it('check reads a policy and names its hash, or shows where it cannot be read', () => {
    const good = cloister('check', file('good.txt', 'version=1.0; authorizationrules{};'));
    assert.equal(good.status, 0);
    assert.match(good.stdout, /^version 1\.0, 0 rules; x-ms-policy-hash [\w-]{43}\n$/);
    const path = file('bad.txt', 'version=1.2;\nauthorizationrules{\n  => grant();\n};');
    const { status, stdout } = cloister('check', path);
    assert.equal(status, 2);
    assert.equal(
      stdout,
      [
        "mismatched input 'grant' expecting 'permit', 'deny', 'add'",
        '  3 |   => grant();',
        '    |      ^',
        '  in policy > authorizationrules > rule > action, line 3, column 6',
        '',
      ].join('\n'),
    );
  });

  it('explain evaluates with evidence that verifies', { skip: sharedMissing }, () => {
    const { status, stdout } = cloister(
      'explain',
      shared('vectors/maa/policies/04-draft-permit-debug-sdk.txt'),
      '--evidence',
      shared('vectors/maa/sdk/sgx-debug.quote.bin'),
      '--collateral',
      file('bundle.json', bundle()),
      '--at',
      '1749668926',
    );
    assert.equal(status, 0, stdout);
    assert.match(stdout, /^x-ms-policy-hash 1wKUrF_E0X5CZUM9OMIF1PH3qn5iykWY_bWgBbiWJZ0\n/);
    assert.match(stdout, /A service refuses it before it asks the policy: policy\.debug/);
    assert.match(stdout, /permitted\nIt issues\n {2}custom-name = "4aea5f9a/);
  });

  it('explains its use', () => {
    assert.equal(cloister('nothing').status, 64);
  });
});

describe('explainPolicy', () => {
  const policy = compile(
    'version=1.0;authorizationrules{[type=="secureBootEnabled", value==true] => permit();};issuancerules{=> issue(type="level", value=100);};',
  );

  it('evaluates with claims from a file', async () => {
    const good = await explain(policy, { claims: file('a.json', '{"secureBootEnabled":true}') });
    assert.ok(good.outcome?.ok);
    assert.match(describeOutcome(good.outcome), /permitted\nIt issues\n {2}level = 100\n/);
    const bad = await explain(policy, { claims: file('b.json', '{"secureBootEnabled":[false]}') });
    assert.ok(bad.outcome !== undefined && !bad.outcome.ok);
    const shown = describeOutcome(bad.outcome);
    assert.match(shown, /FAILS .*\n +not secureBootEnabled = false .*: value==true/);
    assert.match(shown, /refused: .*No Permit claim was issued/);
    await assert.rejects(explain(policy, { claims: file('c.json', '[]') }), CommandError);
  });

  it('evaluates with evidence, and not with what does not verify', {
    skip: sharedMissing,
  }, async () => {
    const collateral = [file('bundle.json', bundle())];
    const evidence = shared('vectors/maa/sdk/sgx-debug.quote.bin');
    const runtimeData = shared('vectors/maa/sdk/oe-debug.runtimedata.bin');
    const denied = await explain(fixture('13-deny-wins-comments'), { evidence, collateral });
    assert.equal(denied.outcome?.ok, false);
    const runtime = compile(
      'version=1.2;authorizationrules{c:[type=="x-ms-runtime"] => add(type="kty", value=JsonToClaimValue(JmesPath(c.value, "jwk.kty")));[type=="kty", value=="EC"] => permit();};',
    );
    const seen = await explain(runtime, { evidence, collateral, runtimeData });
    assert.equal(seen.outcome?.ok, true);
    const changed = readFileSync(evidence);
    changed[112] = (changed[112] ?? 0) ^ 1;
    const path = join(folder, 'changed.bin');
    writeFileSync(path, changed);
    const { verdict, outcome } = await explain(runtime, { evidence: path, collateral });
    assert.equal(outcome, undefined);
    assert.ok(verdict !== undefined && !verdict.verification.ok);
    assert.equal(verdict.verification.code, 'quote.signature');
  });
});
