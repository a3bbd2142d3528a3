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
import {
  redisMissing,
  startRedis,
  type RedisServer,
} from '../../services/cache/src/redis-server.test.ts';
import { agreedNow, handTo, successorOf, until } from '../conformance/manifest-scene.ts';

type Service = 'records' | 'inference' | 'cache';
/** In which order they are left out, and for whom each decides. */
const LEFT_OUT = { hospital: ['records', 'cache'], diagnostics: ['inference'] } as const;

const [IN_FORCE, PENDING] = [200, 202];

const change = (same: Manifest): Manifest => ({ ...same, lease: same.lease - 1 });

describe('a manifest that all have signed but the party that decides, while all of it runs', () => {
  const folder = mkdtempSync(join(tmpdir(), 'cloister-deciding-'));
  const transport = createHttpClient({ timeoutMs: 60_000 });
  let redis: RedisServer | undefined;
  let deployment: Deployment;
  let manifest: Manifest;
  let running: readonly Service[];

  before(async () => {
    redis = redisMissing === false ? await startRedis() : undefined;
    deployment = await startDeployment({
      folder,
      ports: await anyPorts(),
      portal: false,
      redis: redis === undefined ? undefined : `unix:${redis.path}`,
      tell: () => undefined,
    });
    running = ['records', 'inference', ...(redis === undefined ? [] : (['cache'] as const))];
    manifest = agreedNow(deployment);
    // From the next serial on, two parties are a quorum.
    const { update } = manifest.quorum;
    const next = await successorOf(deployment, manifest, (same) => ({
      ...same,
      quorum: { update: { ...update, min: 2 } },
    }));
    await spread(next.text, { hospital: IN_FORCE, diagnostics: IN_FORCE });
    ({ manifest } = next);
    await Promise.all(running.map((service) => runsBy(service, next.id)));
  });
  after(async () => {
    transport.close();
    await deployment.stop();
    await redis?.stop();
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
    const { urls } = deployment;
    const url = service === 'cache' ? (urls.cache?.url ?? assert.fail()) : urls[service];
    const { runtimeData } = await fetchEvidence(url, random(32), transport);
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

  for (const party of BROKERS)
    it(`without the ${party} it is refused by whom the ${party} decides for, and followed by all others`, async () => {
      const bound = running.filter((service) => LEFT_OUT[party].some((one) => one === service));
      const others = running.filter((service) => !bound.includes(service));
      const signers = PARTIES.filter((one) => one !== party);
      const namedBefore = await Promise.all(bound.map(namedBy));
      const refusedBefore = new Map(running.map((service) => [service, refusals(service)]));
      const lacking = await successorOf(deployment, manifest, change, signers);
      const all = { hospital: IN_FORCE, diagnostics: IN_FORCE };
      await spread(lacking.text, { ...all, [party]: PENDING });
      await Promise.all(others.map((service) => runsBy(service, lacking.id)));
      for (const service of bound)
        await until(
          async () => refusals(service),
          (times) => times > (refusedBefore.get(service) ?? 0),
        );
      assert.deepEqual(await Promise.all(bound.map(namedBy)), namedBefore);
      for (const service of others) assert.equal(refusals(service), refusedBefore.get(service));
      // With the last signature it binds all.
      const whole = await successorOf(deployment, manifest, change);
      assert.equal(whole.id, lacking.id);
      await spread(whole.text, all);
      await Promise.all(bound.map((service) => runsBy(service, whole.id)));
      ({ manifest } = whole);
    });
});
