import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { BROKER_ANSWER, type ReleasedSecret, type Verification } from '@cloister/attestation';
import { problem } from '../problem.ts';
import { UnavailableError } from '../unavailable-error.ts';
import { guardByLeases } from './guard-by-leases.ts';
import { keepLease } from './keep-lease.ts';

const START = 1_800_000_000;

function release(epoch: number, lease = 900): Verification<ReleasedSecret> {
  const claims: ReleasedSecret = {
    name: 'tenant-key',
    owner: 'hospital',
    type: 'aes256',
    service: 'records',
    manifest: 'ab'.repeat(32),
    leaseId: 'cd'.repeat(16),
    epoch,
    issued: START,
    exp: START + lease,
    enc: 'x'.repeat(43),
    nonce: new Uint8Array(32),
    versions: [{ version: epoch, value: new Uint8Array(32), from: START }],
  };
  return { ok: true, claims, checks: [] };
}

const refuse = (code: string): Verification<ReleasedSecret> => ({ ok: false, code, checks: [] });

/** A broker that gives these answers, one after the other, and the last one for ever. */
function broker(answers: readonly (Verification<ReleasedSecret> | Error)[]) {
  const failures: string[] = [];
  const held: (number | undefined)[] = [];
  const state = { at: START };
  const options = {
    name: 'tenant-key',
    ask: async (before: ReleasedSecret | undefined) => {
      held.push(before?.epoch);
      const answer = answers[Math.min(held.length, answers.length) - 1] ?? refuse('none');
      if (answer instanceof Error) throw answer;
      return answer;
    },
    now: () => new Date(state.at * 1000),
    onFailure: (code: string) => failures.push(code),
    retryMs: 5,
  };
  return { options, failures, held, state };
}

/** What the verified broker itself says no with. */
const no = (code: string): Verification<ReleasedSecret> => ({
  ok: false,
  code,
  checks: [{ check: BROKER_ANSWER, outcome: 'failed', code }],
});
const down = new UnavailableError('unreachable', 'http request');

describe('keepLease', () => {
  it('waits at the start for a broker that is not there or not ready, and says so', async () => {
    const { options, failures, held } = broker([
      down,
      refuse('awaiting_witness'),
      refuse('secret_absent'),
      refuse('vault_unauthorized'),
      release(1),
    ]);
    const lease = await keepLease(options);
    lease.stop();
    assert.deepEqual(failures, [
      'broker_unreachable',
      'awaiting_witness',
      'secret_absent',
      'vault_unauthorized',
    ]);
    assert.deepEqual(held, [undefined, undefined, undefined, undefined, undefined]);
    assert.equal(lease.secret.epoch, 1);
  });

  it('ends the start where the broker is another one, or refuses', async () => {
    for (const code of ['manifest_mismatch', 'sender_foreign', 'evidence_refused']) {
      const refused = keepLease(broker([refuse(code)]).options);
      await assert.rejects(refused, { code: 'bad_config', message: new RegExp(code) });
    }
  });

  it('renews after a third of the lease, with the one that it holds, and tells what is new', async () => {
    const { options, held } = broker([release(1, 0.06), release(2, 0.06), release(3)]);
    const renewed: number[] = [];
    const lease = await keepLease({
      ...options,
      onRenewed: ({ epoch }) => void renewed.push(epoch),
    });
    await wait(150);
    lease.stop();
    assert.deepEqual(held, [undefined, 1, 2]);
    assert.deepEqual(renewed, [2, 3]);
    assert.equal(lease.secret.versions[0]?.version, 3);
  });

  it('bridges a broker that is away by the rest of the lease, and no longer', async () => {
    const { options, failures, state } = broker([release(1, 0.03), down]);
    const lease = await keepLease(options);
    await wait(60);
    assert.ok(failures.length > 0);
    assert.ok(failures.every((code) => code === 'broker_unreachable'));
    assert.equal(lease.isRunning(), true);
    state.at = START + 1;
    assert.equal(lease.isRunning(), false);
    lease.stop();
  });
});

describe('a lease whose broker says no', () => {
  it('is over at once, and runs again when it says yes', async () => {
    const { options } = broker([release(1), no('measurement_not_agreed'), release(2)]);
    const lease = await keepLease({ ...options, retryMs: 60_000 });
    await lease.renew();
    assert.equal(lease.isRunning(), false);
    await lease.renew();
    assert.equal(lease.isRunning(), true);
    assert.equal(lease.secret.epoch, 2);
    lease.stop();
  });

  it('runs on where the answer is no word about this service, or is not of the broker', async () => {
    const answers = [no('sealed'), no('manifest_mismatch'), refuse('sender_foreign'), down];
    const { options, failures } = broker([release(1), ...answers]);
    const lease = await keepLease({ ...options, retryMs: 60_000 });
    for (const _ of answers) {
      await lease.renew();
      assert.equal(lease.isRunning(), true);
    }
    assert.deepEqual(failures, [
      'sealed',
      'manifest_mismatch',
      'sender_foreign',
      'broker_unreachable',
    ]);
    lease.stop();
  });

  it('is asked for again, at the start too, after looking for a newer manifest', async () => {
    const looks: number[] = [];
    const answers = [no('manifest_mismatch'), release(1), no('manifest_mismatch'), release(2)];
    const { options, held, failures } = broker(answers);
    const lease = await keepLease({
      ...options,
      catchUp: () => Promise.resolve(void looks.push(held.length)),
    });
    await lease.renew();
    lease.stop();
    assert.deepEqual(looks, [1, 3]);
    assert.equal(lease.secret.epoch, 2);
    assert.deepEqual(failures, []);
  });

  it('is begun anew where the broker does not know it any more', async () => {
    const { options, held } = broker([release(7), no('lease_unknown'), release(1)]);
    const lease = await keepLease(options);
    await lease.renew();
    lease.stop();
    assert.deepEqual(held, [undefined, 7, undefined]);
    assert.equal(lease.secret.epoch, 1);
  });

  it('is asked for once more by whoever asks while it is renewed, and once for all of them', async () => {
    const { options, held } = broker([release(1), release(2), release(3), release(4)]);
    const lease = await keepLease(options);
    await Promise.all([lease.renew(), lease.renew(), lease.renew(), lease.renew()]);
    lease.stop();
    assert.deepEqual(held, [undefined, 1, 2]);
    assert.equal(lease.secret.epoch, 3);
  });
});

describe('guardByLeases', () => {
  it('passes everything on while all leases run, and nothing afterwards', async () => {
    let runs = true;
    const inner = { handle: () => Promise.resolve(problem(404, 'not_found')) };
    const lease = { name: 'tenant-key', isRunning: () => runs };
    const gateway = guardByLeases(inner, [{ name: 'other', isRunning: () => true }, lease]);
    const ask = () => gateway.handle(new Request('https://records.example/'));
    assert.equal((await ask()).status, 404);
    runs = false;
    const refused = await ask();
    assert.equal(refused.status, 503);
    assert.equal(refused.headers.get('connection'), 'close');
    assert.match(await refused.text(), /lease_over.*tenant-key/);
  });
});
