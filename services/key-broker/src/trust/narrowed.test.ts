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

const guest = (measurement: string[], kernel = '11') => ({
  tee: 'azure-cvm',
  paravisor: {
    tee: 'snp',
    measurement,
    hostData: ['00'.repeat(32)],
    minTcb: { bootloader: 4, tee: 0, snp: 24, microcode: 219 },
  },
  pcrs: Object.fromEntries(
    [0, 2, 4, 7, 8, 9, 11, 12, 13].map((i) => [`${i}`, i === 11 ? kernel.repeat(32) : two]),
  ),
  isolation: 'vm',
});

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

  it('sees that another paravisor under the same guest narrows nothing, and another guest does', async () => {
    const [first, second] = ['0a'.repeat(48), '0b'.repeat(48)];
    const old = await manifestWith(of(guest([first])));
    const judge = async (identity: JsonObject) => {
      const next = await manifestWith(of(identity));
      return narrowedServices(old, { ...next, evidence: old.evidence });
    };
    assert.deepEqual(await judge(guest([first, second])), []);
    assert.deepEqual(await judge(guest([second])), ['records']);
    assert.deepEqual(await judge(guest([first], '22')), ['records']);
  });

  it('names all services where another sort of evidence counts', async () => {
    const services = of(identityOf('records', one));
    const old = await manifestWith(services);
    const next = { ...old, evidence: { ...old.evidence, minTcbEvaluationDataNumber: 18 } };
    assert.deepEqual(narrowedServices(old, next), ['records']);
  });
});
