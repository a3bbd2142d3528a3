import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import type { Bytes } from '@cloister/bytes';
import { assertOnlyFailed, AT, makeP256 } from '../peer/scene.test.ts';
import {
  signCounterReceipt,
  verifyCounterReceipt,
  type CounterReceipt,
} from './counter-receipt.ts';
import { signHead } from './head.ts';
import { createHeadScene, type HeadScene } from './head-scene.test.ts';
import {
  signWitnessStatement,
  verifyWitnessStatement,
  type WitnessStatement,
} from './witness-statement.ts';

const NOW = AT.getTime() / 1000;
const NONCE: Bytes = new Uint8Array(16).fill(5);
const OTHER: Bytes = new Uint8Array(16).fill(6);
let s: HeadScene;
before(async () => {
  s = await createHeadScene();
});

const receiptOf = (changes: Partial<CounterReceipt> = {}): CounterReceipt => ({
  deployment: 'lamna',
  party: 'hospital',
  manifest: s.manifest.id,
  name: 'records-log',
  value: 7,
  digest: 'ab'.repeat(32),
  time: NOW,
  nonce: NONCE,
  ...changes,
});

const judgeReceipt = async (
  changes: Partial<CounterReceipt> = {},
  options: { key?: CryptoKeyPair; name?: string; nonce?: Bytes | undefined } = {},
) =>
  verifyCounterReceipt(
    await signCounterReceipt(receiptOf(changes), (options.key ?? s.hospital).privateKey),
    { manifest: s.manifest, name: 'records-log', nonce: NONCE, ...options },
  );

describe('verifyCounterReceipt', () => {
  it('gives what the owner of the counter signed', async () => {
    const result = await judgeReceipt();
    assert.ok(result.ok, JSON.stringify(result.checks));
    assert.deepEqual(result.claims, receiptOf());
  });

  it('refuses foreign senders', async () => {
    for (const key of [await makeP256(), s.diagnostics])
      assertOnlyFailed(await judgeReceipt({}, { key }), 'signed by that broker', 'sender_foreign');
  });

  for (const [why, changes] of [
    ['another counter', { name: 'other-log' }],
    ['another deployment', { deployment: 'elsewhere' }],
    ['another party', { party: 'diagnostics' }],
  ] as const)
    it(`refuses a receipt of ${why}`, async () => {
      assertOnlyFailed(await judgeReceipt(changes), 'receipt of this counter', 'counter_mismatch');
    });

  it('refuses an old receipt: another nonce', async () => {
    assertOnlyFailed(await judgeReceipt({ nonce: OTHER }), 'answer to our nonce', 'nonce_mismatch');
    const { nonce: _none, ...without } = receiptOf();
    const jws = await signCounterReceipt(without, s.hospital.privateKey);
    const options = { manifest: s.manifest, name: 'records-log', nonce: NONCE };
    const result = await verifyCounterReceipt(jws, options);
    assertOnlyFailed(result, 'answer to our nonce', 'nonce_mismatch');
    assert.ok((await judgeReceipt({}, { nonce: undefined })).ok);
  });

  it('refuses another manifest, and a counter that the manifest does not name', async () => {
    const other = await judgeReceipt({ manifest: 'cd'.repeat(32) });
    assertOnlyFailed(other, 'under this manifest', 'manifest_mismatch');
    const unknown = await judgeReceipt({}, { name: 'none' });
    assertOnlyFailed(unknown, 'counter named in the manifest', 'counter_unknown');
  });
});

describe('verifyWitnessStatement', () => {
  let seen: string;
  before(async () => {
    seen = await headBy(s.hospital);
  });
  const judge = async (changes: Partial<WitnessStatement> = {}, key = s.diagnostics) =>
    verifyWitnessStatement(
      await signWitnessStatement({ ...statement(), seen, ...changes }, key.privateKey),
      { manifest: s.manifest, witness: 'diagnostics', of: 'hospital', nonce: NONCE },
    );

  it('gives the head that the witness has seen, or that it has seen none', async () => {
    const result = await judge();
    assert.ok(result.ok, JSON.stringify(result.checks));
    assert.equal(result.claims.seen?.jws, seen);
    assert.equal(result.claims.seen.logSize, 4);
    const jws = await signWitnessStatement(statement(), s.diagnostics.privateKey);
    const options = { manifest: s.manifest, witness: 'diagnostics', of: 'hospital', nonce: NONCE };
    const empty = await verifyWitnessStatement(jws, options);
    assert.ok(empty.ok);
    assert.equal(empty.claims.seen, undefined);
  });

  it('refuses foreign senders, the broker itself included', async () => {
    for (const key of [await makeP256(), s.hospital])
      assertOnlyFailed(await judge({}, key), 'signed by that broker', 'sender_foreign');
  });

  for (const [why, changes] of [
    ['another broker', { of: 'platform' }],
    ['another deployment', { deployment: 'elsewhere' }],
    ['another witness', { party: 'hospital' }],
  ] as const)
    it(`refuses a statement about ${why}`, async () => {
      assertOnlyFailed(await judge(changes), 'statement about this broker', 'witness_mismatch');
    });

  it('refuses an old statement', async () => {
    assertOnlyFailed(await judge({ nonce: OTHER }), 'answer to our nonce', 'nonce_mismatch');
  });

  it('refuses a head that the witness made up, or another broker signed', async () => {
    for (const key of [s.diagnostics, await makeP256()]) {
      const forged = await headBy(key);
      assertOnlyFailed(await judge({ seen: forged }), 'head by the broker itself', 'head_forged');
    }
  });
});

function statement(): WitnessStatement {
  const names = { deployment: 'lamna', party: 'diagnostics', of: 'hospital' };
  return { ...names, nonce: NONCE, time: NOW };
}

function headBy(key: CryptoKeyPair): Promise<string> {
  const head = {
    deployment: 'lamna',
    party: 'hospital',
    manifest: s.manifest.id,
    serial: 1,
    time: NOW - 5,
    logSize: 4,
    logRoot: 'ab'.repeat(32),
  };
  return signHead(head, key.privateKey);
}
