import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import {
  parseManifestFile,
  verifyManifest,
  type Manifest,
  type TrustedManifest,
  type VerifiedPeer,
} from '@cloister/attestation';
import { measureService } from '@cloister/attester';
import type { JsonObject } from '@cloister/bytes';
import { ChannelError, createChannel } from '@cloister/channel';
import { createRecordsClient, verifyService } from '@cloister/client';
import { random, readTrust } from '../../apps/cli/src/local-trust.ts';
import { ROOT } from '../../apps/cli/src/local/places.ts';
import { makeVariant, removeVariant, type Variant } from '../../apps/cli/src/local/variant.ts';
import { postgresMissing } from '../../packages/service/src/store/postgres-server.test.ts';
import { agreedNow, publish, successorOf, until, withMeasurements } from './manifest-scene.ts';
import { type Replica, type Scene, startScene } from './replicas-scene.ts';

const patient = (mrn: string): JsonObject => ({
  resourceType: 'Patient',
  identifier: [{ system: 'urn:cloister:mrn', value: mrn }],
  name: [{ family: 'Upgrade', given: [mrn] }],
});

describe('the next release of records', { skip: postgresMissing }, () => {
  let scene: Scene;
  let variant: Variant;
  let measured: { readonly old: string; readonly next: string };
  let manifest: Manifest;
  let trust: TrustedManifest;
  let old: Replica;
  let next: Replica;
  /** One that nobody has stopped. */
  let forgotten: Replica;
  let token: string;
  let peer: VerifiedPeer;

  const verify = async (baseUrl: string): Promise<VerifiedPeer> => {
    const verdict = await verifyService({
      baseUrl,
      service: 'records',
      manifest: trust,
      attestationUrl: scene.deployment.urls.attestation,
      transport: scene.transport,
      now: () => new Date(),
      random,
    });
    assert.ok(verdict.ok, JSON.stringify(verdict.checks));
    return verdict.claims;
  };
  const agree = async (change: (before: Manifest) => Manifest): Promise<void> => {
    const made = await successorOf(scene.deployment, manifest, change);
    await publish(scene.deployment, made.text, scene.transport);
    const { signatures } = parseManifestFile(made.text);
    const by = { pinned: undefined, predecessor: trust, ownParty: 'hospital' };
    const verdict = await verifyManifest(made.manifest, signatures, by);
    assert.ok(verdict.ok, JSON.stringify(verdict.checks));
    trust = verdict.claims;
    ({ manifest } = made);
  };
  const statusOf = async (replica: Replica): Promise<number> =>
    (await scene.transport(new Request(`${replica.url}/health/ready`))).status;

  /** Writes patients one after the other until told to end; a request may fail once. */
  class Load {
    readonly acknowledged: string[] = [];
    /** Requests that had to be sent again. */
    again = 0;
    readonly #stop = new AbortController();
    readonly #done: Promise<void>;

    constructor(name: string) {
      this.#done = this.#run(name);
    }

    async end(): Promise<void> {
      this.#stop.abort();
      await this.#done;
    }

    async #run(name: string): Promise<void> {
      const fetch = createChannel({
        peer,
        url: `${scene.url}/.well-known/ohttp-gateway`,
        transport: scene.transport,
        now: () => new Date(),
        random,
        kems: ['x-wing'],
        onStaleKey: () => verify(scene.url),
      });
      for (let i = 0; !this.#stop.signal.aborted; i++) {
        const mrn = `${name}-${i}`;
        const write = async (): Promise<number | undefined> => {
          const request = new Request('https://records/fhir/Patient', {
            method: 'POST',
            headers: {
              authorization: `Bearer ${token}`,
              'content-type': 'application/fhir+json',
              'if-none-exist': `identifier=urn:cloister:mrn|${mrn}`,
            },
            body: JSON.stringify(patient(mrn)),
          });
          try {
            // With If-None-Exist nothing is done twice.
            const { status } = await fetch(request, { repeatable: true });
            return status < 300 ? status : undefined;
          } catch (error) {
            if (error instanceof ChannelError) return undefined;
            throw error;
          }
        };
        if ((await write()) === undefined) {
          this.again += 1;
          assert.ok((await write()) !== undefined, `${mrn} failed twice`);
        }
        this.acknowledged.push(mrn);
      }
    }
  }

  before(async () => {
    variant = makeVariant({ service: 'records', change: 'release', agreed: true });
    scene = await startScene();
    const measure = { root: ROOT, service: 'records' };
    measured = {
      old: await measureService(measure),
      next: await measureService({ ...measure, folder: variant.folder }),
    };
    manifest = agreedNow(scene.deployment);
    trust = await readTrust(scene.deployment.places.manifest);
    old = await scene.startReplica('old');
    scene.balancer.replicas = [old.port];
    peer = await verify(scene.url);
    const [account] = scene.deployment.accounts;
    const records = createRecordsClient(scene.channel(peer, scene.url));
    ({ token } = await records.signIn(account?.user ?? '', account?.password ?? ''));
  });
  after(async () => {
    await scene.stop();
    removeVariant(variant);
  });

  it('gets no key before the parties have agreed on it', async () => {
    assert.notEqual(measured.old, measured.next);
    await assert.rejects(scene.startReplica('early', variant.entry), /measurement_not_agreed/);
  });

  it('takes over while people work: no request fails twice, and nothing is lost', async () => {
    const loads = ['a', 'b', 'c'].map((name) => new Load(name));
    await agree(withMeasurements('records', (codes) => [...codes, measured.next]));
    next = await scene.startReplica('next', variant.entry);
    scene.balancer.replicas = [old.port, next.port];
    await until(
      () => Promise.resolve(loads.every(({ acknowledged }) => acknowledged.length > 5)),
      Boolean,
    );
    scene.balancer.replicas = [next.port];
    // As an operator does: what runs still, it finishes, and its connections end.
    await old.stop();
    forgotten = await scene.startReplica('forgotten');
    await agree(withMeasurements('records', () => [measured.next]));
    await until(
      () => statusOf(forgotten),
      (status) => status === 503,
      10_000,
    );
    const soFar = loads.map(({ acknowledged }) => acknowledged.length);
    await until(
      () =>
        Promise.resolve(
          loads.every(({ acknowledged }, at) => acknowledged.length > (soFar[at] ?? 0) + 5),
        ),
      Boolean,
    );
    await Promise.all(loads.map((load) => load.end()));
    const now = await verify(scene.url);
    assert.notDeepEqual(now.ohttp, peer.ohttp, 'its channel key is another one');
    const fetch = scene.channel(now, scene.url);
    for (const mrn of loads.flatMap(({ acknowledged }) => acknowledged)) {
      const answer = await fetch(
        new Request(`https://records/fhir/Patient?identifier=urn:cloister:mrn|${mrn}`, {
          headers: { authorization: `Bearer ${token}` },
        }),
      );
      const { total } = (await answer.json()) as { total?: number };
      assert.equal(total, 1, mrn);
    }
  });

  it('leaves nothing to the release before it, which is started again', async () => {
    await forgotten.kill();
    await assert.rejects(scene.startReplica('old'), /measurement_not_agreed/);
  });
});
