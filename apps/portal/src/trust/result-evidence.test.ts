import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import {
  createScene,
  draftManifest,
  trust,
} from '../../../../packages/attestation/src/peer/scene.test.ts';
import type { TrustedManifest } from '@cloister/attestation';
import { readEvidence } from './result-evidence.ts';

const DIGEST = 'ab'.repeat(32);
const CODE = 'cd'.repeat(32);
const MODEL = { name: 'm', title: 'M', version: '1', properties: {} };
let manifest: TrustedManifest;
before(async () => {
  const scene = await createScene();
  const draft = await draftManifest(scene);
  const anyOf = [{ tee: 'sgx', mrenclave: [CODE], isvProdId: 102, minIsvSvn: 1 }];
  manifest = await trust(scene, {
    ...draft,
    services: { ...(draft['services'] as object), inference: { identity: { anyOf } } },
    models: { m: { '1': { digest: DIGEST, contract: DIGEST } } },
  });
});

const factsOf = (facts: Record<string, string | boolean>, name = 'm') =>
  readEvidence({ facts, probabilities: {} }, { ...MODEL, name }, manifest);
const marks = (facts: Record<string, string | boolean>, name?: string) =>
  Object.fromEntries(factsOf(facts, name).facts.map(({ id, mark }) => [id, mark]));

describe('readEvidence', () => {
  it('marks what the manifest in force agrees to', () => {
    const facts = {
      manifest: manifest.id,
      modelDigest: DIGEST,
      measurement: CODE,
      simulated: true,
    };
    assert.deepEqual(marks(facts), {
      modelDigest: 'as-agreed',
      measurement: 'as-agreed',
      manifest: 'current',
    });
    assert.equal(factsOf(facts).simulated, true);
  });

  it('marks another model, another model name, or other code as not agreed', () => {
    const facts = { manifest: manifest.id, modelDigest: CODE, measurement: DIGEST };
    assert.equal(marks(facts)['modelDigest'], 'not-as-agreed');
    assert.equal(marks(facts)['measurement'], 'not-as-agreed');
    assert.equal(marks({ ...facts, modelDigest: DIGEST }, 'other')['modelDigest'], 'not-as-agreed');
  });

  it('does not judge a result by a manifest that was not in force', () => {
    const facts = { manifest: 'ee'.repeat(32), modelDigest: CODE, measurement: DIGEST };
    assert.deepEqual(marks(facts), { modelDigest: 'none', measurement: 'none', manifest: 'older' });
  });

  it('shows a receipt that cannot be read as none', () => {
    const evidence = { receipt: 'no receipt', facts: {}, probabilities: {} };
    assert.equal(readEvidence(evidence, MODEL, manifest).receipt, undefined);
  });
});
