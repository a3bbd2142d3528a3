import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { JsonObject } from '@cloister/bytes';
import { CODE, createEmptyWorld, firstDraft, identityOf } from '../scene.test.ts';
import { narrowedServices } from './narrowed.ts';

const manifestWith = async (services: JsonObject, evidence?: JsonObject) => {
  const world = await createEmptyWorld();
  const draft = await firstDraft(world, {
    services,
    secrets: {},
    counters: {},
    ...(evidence === undefined ? {} : { evidence }),
  });
  const { manifest } = await world.sign(draft, []);
  await world.close();
  return manifest;
};
const [one, two] = [CODE.records, 'a9'.repeat(32)];
const of = (...anyOf: JsonObject[]) => ({ records: { identity: { anyOf } } });

describe('narrowedServices', () => {
  it('names a service that lost an identity or a measurement, or changed a predicate', async () => {
    const old = await manifestWith(of(identityOf('records', one, two)));
    const same = (manifest: typeof old) => ({ ...manifest, evidence: old.evidence });
    for (const [why, services, expected] of [
      ['the same', of(identityOf('records', one, two)), []],
      ['in two identities', of(identityOf('records', two), identityOf('records', one)), []],
      ['one more', of(identityOf('records', one, two, 'a7'.repeat(32))), []],
      ['one measurement less', of(identityOf('records', one)), ['records']],
      ['another', of(identityOf('records', one, 'a7'.repeat(32))), ['records']],
      ['a higher SVN', of({ ...identityOf('records', one, two), minIsvSvn: 2 }), ['records']],
      ['gone', { inference: { identity: { anyOf: [identityOf('inference', one)] } } }, ['records']],
    ] as const) {
      const next = same(await manifestWith(services as unknown as JsonObject));
      assert.deepEqual(narrowedServices(old, next), expected, why);
    }
  });

  it('names all services where another sort of evidence counts', async () => {
    const services = of(identityOf('records', one));
    const old = await manifestWith(services);
    const next = { ...old, evidence: { ...old.evidence, minTcbEvaluationDataNumber: 18 } };
    assert.deepEqual(narrowedServices(old, next), ['records']);
  });
});
