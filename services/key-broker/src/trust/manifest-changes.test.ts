import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { VerificationCache, type EvidenceEnvelope } from '@cloister/attestation';
import { createCertificationRequest, encodeName } from '@cloister/crypto';
import type { ServiceIdentity } from '@cloister/attester';
import type { Bytes } from '@cloister/bytes';
import { Certificates } from '../certificates/certificates.ts';
import { Counters } from '../counters.ts';
import { Leases } from '../release/leases.ts';
import { createWorld, random, type World } from '../scene.test.ts';
import { NonceMemory } from './nonce-memory.ts';

let world: World;
before(async () => {
  world = await createWorld();
});
after(() => world.close());

/** Runs something when a nonce is taken: just before the evidence over it is judged. */
class TellingMemory extends NonceMemory {
  onTake: () => void = () => undefined;

  override take(nonce: Uint8Array): boolean {
    this.onTake();
    return super.take(nonce);
  }
}

/** The hospital's broker, and the next manifest at the moment of a verdict. */
async function scene() {
  const { broker } = world.running.get('hospital') ?? assert.fail();
  const lease = (world.manifest.manifest.lease % 900) + 60;
  const draft = world.next({ lease });
  const file = await world.sign(draft);
  const nonces = new TellingMemory(random, () => world.at.getTime());
  const identity = await world.identity('records');
  let activated: Promise<unknown> = Promise.resolve();
  // Signed before: the activation is in the journal's queue as soon as it is asked for.
  const activate = (): void => {
    activated = broker.activate(file);
  };
  const size = () => broker.requireOpen().journal.tree.size;
  const means = { nonces, random, cache: new VerificationCache() };
  const evidence = (): Promise<EvidenceEnvelope> => identity.evidence(nonces.make());
  const settle = async (): Promise<void> => {
    await activated;
    await world.running.get('diagnostics')?.broker.activate(file);
    await world.follow(file, draft);
  };
  return { broker, nonces, identity, activate, settle, size, means, evidence };
}

describe('a manifest that comes into force between a verdict and its effect', () => {
  it('holds a certificate back, and nothing is noted', async () => {
    const { broker, nonces, identity, activate, settle, size, means, evidence } = await scene();
    const certificates = new Certificates(broker, means);
    const order = {
      evidence: await evidence(),
      request: await requestBy(identity),
      hours: 1,
      nonce: random(32),
    };
    nonces.onTake = activate;
    const entries = size();
    await assert.rejects(certificates.issue(order), { code: 'manifest_changed' });
    await settle();
    assert.equal(size(), entries + 1);
  });

  it('holds a secret back, and nothing is noted', async () => {
    const { broker, nonces, activate, settle, size, means, evidence } = await scene();
    const leases = new Leases(broker, means);
    const request = { name: 'tenant-key', evidence: await evidence(), nonce: random(32) };
    nonces.onTake = activate;
    const entries = size();
    await assert.rejects(leases.release(request), { code: 'manifest_changed' });
    await settle();
    assert.equal(size(), entries + 1);
  });

  it('holds a counter back', async () => {
    const { broker, activate, settle } = await scene();
    const counters = new Counters(broker);
    activate();
    // The activation stands in line by now; the manifest of before is still the one in force.
    const move = { expected: 0, next: 1, digest: 'ab'.repeat(32), nonce: random(32) };
    const advancing = counters.advance('records-log', { ...move, service: 'records' });
    await assert.rejects(advancing, { code: 'manifest_changed' });
    await settle();
    assert.equal(broker.requireOpen().journal.state.counter('records-log').value, 0);
  });
});

async function requestBy({ sigKey }: ServiceIdentity): Promise<Bytes> {
  const publicKey = new Uint8Array(await crypto.subtle.exportKey('spki', sigKey.publicKey));
  const subject = encodeName({ commonName: 'records' });
  return createCertificationRequest({ subject, publicKey, signer: sigKey.privateKey });
}
