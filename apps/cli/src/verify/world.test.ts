import assert from 'node:assert/strict';
import {
  encodeEnvelope,
  manifestId,
  parseManifest,
  signHead,
  signManifest,
  verifyManifest,
  type TrustedManifest,
} from '@cloister/attestation';
import { parseJsonObject, type JsonObject } from '@cloister/bytes';
import { UnavailableError, type Fetch } from '@cloister/service';
import {
  createHeadScene,
  type HeadScene,
} from '../../../../packages/attestation/src/head/head-scene.test.ts';
import {
  AT,
  makeEnvelope,
  type Changes,
} from '../../../../packages/attestation/src/peer/scene.test.ts';

/** When all of it happens, in seconds. */
export const NOW = AT.getTime() / 1000;

/** A service, its issuer of tokens and the hospital's broker, as a network without wires. */
export interface World extends HeadScene {
  /** What the service shows, besides what is good. */
  changes: Changes;
  isServiceAway: boolean;
  isBrokerAway: boolean;
  /** Newest first. */
  heads: string[];
  /** The files of the manifests that were in force, oldest first. */
  files: string[];
  /** What the portal answers at its settings. */
  settings: JsonObject | undefined;
  readonly transport: Fetch;
  headAt(time: number, manifest?: TrustedManifest): Promise<string>;
  /** The manifest with the next serial, signed by these parties; what verifies it where it counts. */
  successor(
    changes?: JsonObject,
    signers?: readonly string[],
  ): Promise<{ readonly file: string; readonly manifest: TrustedManifest | undefined }>;
}

export const SERVICE = 'https://records.example';
export const BROKER = 'https://broker.example';
export const PORTAL = 'https://portal.example';

export async function createWorld(): Promise<World> {
  const quorum = { update: { of: ['hospital', 'platform', 'diagnostics'], min: 2 } };
  const scene = await createHeadScene({
    quorum,
    portal: { origin: PORTAL, build: 'ab'.repeat(32) },
  });
  const first = await signedFile(scene, scene.draft, Object.keys(scene.scene.parties));
  const answer = async (request: Request): Promise<Response> => {
    const { origin, pathname } = new URL(request.url);
    if (origin === SERVICE) {
      if (world.isServiceAway) throw new UnavailableError('unreachable', 'service');
      const { nonce } = parseJsonObject(await request.text());
      assert.ok(typeof nonce === 'string');
      const envelope = await makeEnvelope(world.scene, {
        manifests: [world.manifest.id],
        ...world.changes,
        runtime: Object.assign({}, world.changes.runtime, { nonce }),
      });
      return Response.json(encodeEnvelope(envelope));
    }
    if (origin === PORTAL && world.settings !== undefined) return Response.json(world.settings);
    if (origin === BROKER && !world.isBrokerAway) {
      if (pathname === '/v1/heads') return Response.json({ heads: world.heads });
      if (pathname === '/v1/manifest') return new Response(world.files.at(-1));
      if (pathname === '/v1/manifest/history')
        return new Response(`{"manifests":[${world.files.join(',')}]}`);
    }
    if (pathname === '/certs') return Response.json({ keys: [world.scene.issuerJwk] });
    throw new UnavailableError('unreachable', 'network');
  };
  const world: World = {
    ...scene,
    changes: {},
    isServiceAway: false,
    isBrokerAway: false,
    heads: [],
    files: [first],
    settings: undefined,
    transport: answer,
    headAt: (time, manifest = world.manifest) =>
      signHead(
        {
          deployment: 'lamna',
          party: 'hospital',
          manifest: manifest.id,
          serial: manifest.manifest.serial,
          time,
          logSize: 4,
          logRoot: 'ab'.repeat(32),
        },
        scene.hospital.privateKey,
      ),
    async successor(changes = {}, signers = Object.keys(scene.scene.parties)) {
      const draft = { ...scene.draft, serial: 2, previous: scene.manifest.id, ...changes };
      const file = await signedFile(scene, draft, signers);
      const { signatures } = JSON.parse(file) as { signatures: Record<string, string> };
      const verdict = await verifyManifest(parseManifest(JSON.stringify(draft)), signatures, {
        pinned: undefined,
        predecessor: scene.manifest,
      });
      return { file, manifest: verdict.ok ? verdict.claims : undefined };
    },
  };
  return world;
}

async function signedFile(
  { scene }: HeadScene,
  draft: JsonObject,
  signers: readonly string[],
): Promise<string> {
  const id = await manifestId(parseManifest(JSON.stringify(draft)));
  const signatures: Record<string, string> = {};
  for (const [party, keys] of Object.entries(scene.parties))
    if (signers.includes(party)) signatures[party] = await signManifest(id, party, keys.privateKey);
  return JSON.stringify({ manifest: draft, signatures });
}
