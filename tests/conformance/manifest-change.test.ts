import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import {
  parseManifestFile,
  parseRuntimeData,
  verifyManifest,
  type Manifest,
  type TrustedManifest,
  type VerifiedPeer,
} from '@cloister/attestation';
import { createChannel, type Fetch } from '@cloister/channel';
import { createRecordsClient, fetchEvidence, verifyService } from '@cloister/client';
import { createHttpClient } from '@cloister/service';
import { random, readTrust } from '../../apps/cli/src/local-trust.ts';
import { startDeployment, type Deployment } from '../../apps/cli/src/local/deployment.ts';
import { drawPhantom } from '../../apps/cli/src/demo/phantom.ts';
import { anyPorts } from '../../apps/cli/src/local/ports.ts';
import {
  agreedNow,
  handTo,
  publish,
  successorOf,
  until,
  withMeasurements,
} from './manifest-scene.ts';

const OTHER_CODE = 'cd'.repeat(32);

describe('a change of the manifest while all of it runs', () => {
  const folder = mkdtempSync(join(tmpdir(), 'cloister-change-'));
  const transport = createHttpClient({ timeoutMs: 60_000 });
  let deployment: Deployment;
  let manifest: Manifest;
  let trust: TrustedManifest;

  const verify = (service: 'records' | 'inference', by: TrustedManifest = trust) =>
    verifyService({
      baseUrl: deployment.urls[service],
      service,
      manifest: by,
      attestationUrl: deployment.urls.attestation,
      transport,
      now: () => new Date(),
      random,
    });
  const channelTo = (peer: VerifiedPeer): Fetch =>
    createChannel({
      peer,
      url: `${deployment.urls.records}/.well-known/ohttp-gateway`,
      transport,
      now: () => new Date(),
      random,
      kems: ['x-wing'],
    });
  /** The manifests that a service says it runs by. */
  const namedBy = async (service: 'records' | 'inference'): Promise<readonly string[]> => {
    const { runtimeData } = await fetchEvidence(deployment.urls[service], random(32), transport);
    return parseRuntimeData(runtimeData).manifests;
  };
  const follow = async (text: string): Promise<void> => {
    const file = parseManifestFile(text);
    const trusted = { pinned: undefined, predecessor: trust, ownParty: 'hospital' };
    const verdict = await verifyManifest(file.manifest, file.signatures, trusted);
    assert.ok(verdict.ok, JSON.stringify(verdict.checks));
    trust = verdict.claims;
    ({ manifest } = file);
  };
  const signIn = async (peer: VerifiedPeer) => {
    const [account] = deployment.accounts;
    const records = createRecordsClient(channelTo(peer));
    await records.signIn(account?.user ?? '', account?.password ?? '');
    return records;
  };

  before(async () => {
    deployment = await startDeployment({
      folder,
      ports: await anyPorts(),
      portal: false,
      lease: 12,
      tell: () => undefined,
    });
    manifest = agreedNow(deployment);
    trust = await readTrust(deployment.places.manifest);
  });
  after(async () => {
    transport.close();
    await deployment.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  it('is nothing to anybody without the signatures that bind it', async () => {
    const widen = withMeasurements('records', (old) => [...old, OTHER_CODE]);
    const lacking = await successorOf(deployment, manifest, widen, ['platform', 'diagnostics']);
    const { hospital } = deployment.urls.brokers;
    assert.equal(await handTo(hospital, lacking.text, transport), 202, 'waits for the hospital');
    const file = deployment.places.manifest;
    const first = readFileSync(file, 'utf8');
    writeFileSync(file, lacking.text);
    // The file is looked at each second; that nothing happens is seen by the evidence after it.
    await new Promise((resolve) => {
      setTimeout(resolve, 2500);
    });
    for (const service of ['records', 'inference'] as const)
      assert.deepEqual(await namedBy(service), [trust.id]);
    writeFileSync(file, first);
  });

  it('is followed within seconds, and no request fails meanwhile', async () => {
    const widen = withMeasurements('records', (old) => [...old, OTHER_CODE]);
    const next = await successorOf(deployment, manifest, widen);
    const verdict = await verify('records');
    assert.ok(verdict.ok, JSON.stringify(verdict.checks));
    const records = await signIn(verdict.claims);
    const statuses: string[] = [];
    const stop = new AbortController();
    const load = (async () => {
      for (let i = 0; !stop.signal.aborted; i++) {
        const found = await records.searchPatients(`nobody ${i}`).then(
          () => 'ok',
          (error: unknown) => String(error),
        );
        statuses.push(found);
      }
    })();
    await publish(deployment, next.text, transport);
    for (const service of ['records', 'inference'] as const)
      await until(
        () => namedBy(service),
        (named) => named.includes(next.id),
        10_000,
      );
    stop.abort();
    await load;
    assert.deepEqual([...new Set(statuses)], ['ok'], `${statuses.length} requests`);
    await follow(next.text);
    for (const service of ['records', 'inference'] as const) {
      const again = await verify(service);
      assert.ok(again.ok, JSON.stringify(again.checks));
    }
  });

  it('lets the line work under the next one: a radiograph is read', async () => {
    const verdict = await verify('records');
    assert.ok(verdict.ok);
    const records = await signIn(verdict.claims);
    const { id: patient } = await records.createPatient({
      mrn: 'MRN-CHANGE',
      family: 'Change',
      given: 'Of Manifest',
      birthDate: '2019-01-01',
      gender: 'unknown',
    });
    const { study } = await records.uploadImage(patient, drawPhantom(), 'image/png');
    const task = await records.requestDiagnosis(study, patient);
    const ended = await until(
      () => records.readTask(task.id),
      ({ status }) => ['completed', 'failed', 'rejected'].includes(status),
      60_000,
    );
    assert.equal(ended.status, 'completed', JSON.stringify(ended));
  });

  it('replaces at once what a narrowed service had been given, and later destroys it', async () => {
    const earlier = await verify('records');
    assert.ok(earlier.ok);
    const old = channelTo(earlier.claims);
    const narrow = withMeasurements('records', (codes) =>
      codes.filter((one) => one !== OTHER_CODE),
    );
    const next = await successorOf(deployment, manifest, narrow);
    await publish(deployment, next.text, transport);
    await follow(next.text);
    const verified = await until(
      async () => {
        const verdict = await verify('records');
        return verdict.ok ? verdict.claims.ohttp : undefined;
      },
      (ohttp) => ohttp !== undefined && Buffer.compare(ohttp, earlier.claims.ohttp ?? ohttp) !== 0,
    );
    assert.ok(verified);
    await assert.rejects(
      old(new Request('https://records/fhir/metadata')),
      { name: 'ChannelError' },
      'the old key opens nothing any more',
    );
    const now = await verify('records');
    assert.ok(now.ok);
    const records = await signIn(now.claims);
    const found = await records.searchPatients('Change');
    assert.equal(found.length, 1, 'what the old tenant key wrapped is still read');
    const log = join(deployment.places.logs, 'records.log');
    await until(
      () => Promise.resolve(readFileSync(log, 'utf8')),
      (text) => text.includes('tenant_keys_replaced'),
      60_000,
    );
    // Its file has the first manifest still: the broker tells it of those that follow.
    await deployment.restart('records', () => undefined);
    const restarted = await until(
      () => verify('records'),
      ({ ok }) => ok,
    );
    assert.ok(restarted.ok);
    const again = await signIn(restarted.claims);
    assert.equal((await again.searchPatients('Change')).length, 1);
  });

  it('ends at once what it no longer admits', async () => {
    const drop = withMeasurements('inference', () => [OTHER_CODE]);
    const next = await successorOf(deployment, manifest, drop);
    await publish(deployment, next.text, transport);
    await follow(next.text);
    const ready = async (): Promise<number> => {
      const url = `${deployment.urls.inference}/health/ready`;
      return (await transport(new Request(url))).status;
    };
    await until(ready, (status) => status === 503, 10_000);
    const verdict = await verify('inference');
    assert.equal(verdict.ok, false);
    assert.equal(verdict.ok ? '' : verdict.code, 'measurement_not_agreed');
  });
});
