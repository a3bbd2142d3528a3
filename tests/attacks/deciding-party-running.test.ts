import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { parseRuntimeData, type Manifest } from '@cloister/attestation';
import { fetchEvidence } from '@cloister/client';
import { createHttpClient } from '@cloister/service';
import { startDeployment, type Deployment } from '../../apps/cli/src/local/deployment.ts';
import { BROKERS, PARTIES, type BrokerParty } from '../../apps/cli/src/local/places.ts';
import { anyPorts } from '../../apps/cli/src/local/ports.ts';
import { random } from '../../apps/cli/src/local-trust.ts';
import { agreedNow, handTo, successorOf, until } from '../conformance/manifest-scene.ts';

/** In which order they are left out, and who decides for whom. */
const LEFT_OUT: readonly (readonly [BrokerParty, Service, Service])[] = [
  ['hospital', 'records', 'inference'],
  ['diagnostics', 'inference', 'records'],
];
type Service = 'records' | 'inference';
const [IN_FORCE, PENDING] = [200, 202];

const change = (same: Manifest): Manifest => ({ ...same, lease: same.lease - 1 });

describe('a manifest that all have signed but the party that decides, while all of it runs', () => {
  const folder = mkdtempSync(join(tmpdir(), 'cloister-deciding-'));
  const transport = createHttpClient({ timeoutMs: 60_000 });
  let deployment: Deployment;
  let manifest: Manifest;

  before(async () => {
    deployment = await startDeployment({
      folder,
      ports: await anyPorts(),
      portal: false,
      tell: () => undefined,
    });
    manifest = agreedNow(deployment);
    // From the next serial on, two parties are a quorum.
    const { update } = manifest.quorum;
    const next = await successorOf(deployment, manifest, (same) => ({
      ...same,
      quorum: { update: { ...update, min: 2 } },
    }));
    await spread(next.text, { hospital: IN_FORCE, diagnostics: IN_FORCE });
    ({ manifest } = next);
    await Promise.all([runsBy('records', next.id), runsBy('inference', next.id)]);
  });
  after(async () => {
    transport.close();
    await deployment.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  /** Gives a manifest to everybody there is: both brokers, and the file of the services. */
  async function spread(
    text: string,
    expected: Readonly<Record<BrokerParty, number>>,
  ): Promise<void> {
    const { urls, places } = deployment;
    for (const party of BROKERS)
      assert.equal(await handTo(urls.brokers[party], text, transport), expected[party], party);
    writeFileSync(`${places.manifest}.next`, text);
    renameSync(`${places.manifest}.next`, places.manifest);
  }

  /** The manifests by which a service says that it runs, in its evidence. */
  async function namedBy(service: Service): Promise<readonly string[]> {
    const { runtimeData } = await fetchEvidence(deployment.urls[service], random(32), transport);
    return parseRuntimeData(runtimeData).manifests;
  }
  const runsBy = (service: Service, id: string) =>
    until(
      () => namedBy(service),
      (named) => named.includes(id),
    );

  /** How often a service said in its log that it refused a manifest, for this reason. */
  function refusals(service: Service): number {
    const log = readFileSync(join(deployment.places.logs, `${service}.log`), 'utf8');
    return log.match(/"manifest_refused","code":"own_party_missing"/g)?.length ?? 0;
  }

  for (const [party, bound, other] of LEFT_OUT)
    it(`without the ${party} it is refused by ${bound} and that party's broker, and followed by ${other}`, async () => {
      const signers = PARTIES.filter((one) => one !== party);
      const namedBefore = await namedBy(bound);
      const refusedBefore = { [bound]: refusals(bound), [other]: refusals(other) };
      const lacking = await successorOf(deployment, manifest, change, signers);
      const all = { hospital: IN_FORCE, diagnostics: IN_FORCE };
      await spread(lacking.text, { ...all, [party]: PENDING });
      await runsBy(other, lacking.id);
      await until(
        async () => refusals(bound),
        (times) => times > (refusedBefore[bound] ?? 0),
      );
      assert.deepEqual(await namedBy(bound), namedBefore);
      assert.equal(refusals(other), refusedBefore[other]);
      // With the last signature it binds all.
      const whole = await successorOf(deployment, manifest, change);
      assert.equal(whole.id, lacking.id);
      await spread(whole.text, all);
      await runsBy(bound, whole.id);
      ({ manifest } = whole);
    });
});
