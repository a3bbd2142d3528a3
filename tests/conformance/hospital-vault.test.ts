import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { RecordsClient } from '@cloister/client';
import { drawPhantom } from '../../apps/cli/src/demo/phantom.ts';
import { lineOf, type Started } from './service-processes.ts';
import { VaultScene } from './vault-scene.ts';

/** Released only to what runs by the agreement of another hospital. */
const FOREIGN = { claim: 'x-ms-runtime.nonce', equals: 'A'.repeat(43) };

const addPatient = (records: RecordsClient, mrn: string) =>
  records.createPatient({
    family: 'Vault',
    given: mrn,
    gender: 'other',
    birthDate: '2000-01-01',
    mrn,
  });

/** A hospital keeps its keys in a vault that speaks Azure's protocol, and runs no broker. */
describe('a hospital with a vault in the place of a broker', { timeout: 180_000 }, () => {
  const scene = new VaultScene();
  let running: Started;
  before(async () => {
    await scene.open();
    await scene.importKey();
    running = await scene.startRecords();
  });
  after(() => scene.close());

  const patients = async (): Promise<ReadonlySet<string | undefined>> => {
    const records = await scene.signIn(running);
    const found = await records.searchPatients('Vault');
    return new Set(found.map(({ mrn }) => mrn));
  };

  it('has its records served under the key that the vault released, and says what it lacks', async () => {
    await addPatient(await scene.signIn(running), 'A');
    const start = await lineOf(running, /("event":"keys_from_vault".*)/);
    assert.match(start, /"versions":1,"immutable":true,"heads":false/);
    assert.ok(running.said.some((line) => /"event":"starting".*"keys":"vault"/.test(line)));
    // Those who judge by heads of their own find the ones of their party here.
    const { runtimeData } = await scene.verify(running);
    assert.equal(runtimeData.heads?.length, 1);
  });

  it('has an image read by the provider, who judges by the heads of its own broker', async () => {
    const records = await scene.signIn(running);
    const { id } = await addPatient(records, 'C');
    const { study } = await records.uploadImage(id, drawPhantom(), 'image/png');
    const task = await records.requestDiagnosis(study, id);
    await lineOf(running, /("event":"job_ended")/);
    assert.equal((await records.readTask(task.id)).status, 'completed', running.said.join('\n'));
  });

  it('reads them after a restart, to the same channel key', async () => {
    const { runtimeData } = await scene.verify(running);
    await running.stop();
    running = await scene.startRecords();
    assert.deepEqual(await patients(), new Set(['A', 'C']));
    const again = await scene.verify(running);
    assert.equal(again.runtimeData.ohttp, runtimeData.ohttp);
  });

  it('goes on under the next version that the parties agree on, and without the one before', async () => {
    await scene.importKey();
    const earlier = await scene.verify(running);
    await scene.agreeOnVersions([1, 2]);
    const replaced = await lineOf(running, /("event":"tenant_keys_replaced".*)/);
    assert.match(replaced, /"version":2,"rewrapped":[1-9]\d*,"destroyed":0/);
    await addPatient(await scene.signIn(running), 'B');
    const later = await scene.verify(running);
    assert.notEqual(later.runtimeData.ohttp, earlier.runtimeData.ohttp);
    await scene.agreeOnVersions([2]);
    await running.stop();
    running = await scene.startRecords();
    assert.deepEqual(await patients(), new Set(['A', 'B', 'C']));
  });

  it('is served no more where the vault’s policy asks for the agreement of another hospital', async () => {
    await scene.importKey(FOREIGN);
    await scene.agreeOnVersions([2, 3]);
    await lineOf(running, /("event":"lease_failed".*"code":"vault_refused")/);
    assert.equal(await scene.readiness(running), 503);
    await assert.rejects(scene.signIn(running), { status: 503 });
    await running.stop();
    const refused = await scene.startRecords();
    assert.equal(refused.code, 2);
    assert.match(refused.said.at(-1) ?? '', /tenant-key: .*vault.* \(vault_refused\)$/);
    await scene.agreeOnVersions([2]);
    running = await scene.startRecords();
    assert.deepEqual(await patients(), new Set(['A', 'B', 'C']));
  });

  it('is served no more where another authority vouches for the vault than the parties agreed on', async () => {
    const { root } = scene;
    await scene.agreeOnRoot('cc'.repeat(32));
    await lineOf(running, /("event":"lease_failed".*"code":"vault_authority_foreign")/);
    await running.stop();
    const refused = await scene.startRecords();
    assert.equal(refused.code, 2);
    assert.match(refused.said.at(-1) ?? '', /\(vault_authority_foreign\)$/);
    await scene.agreeOnRoot(root);
    running = await scene.startRecords();
    assert.deepEqual(await patients(), new Set(['A', 'B', 'C']));
  });
});
