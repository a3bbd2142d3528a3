import type { JsonObject } from '@cloister/bytes';
import type { TrustedManifest } from '../manifest/trusted-manifest.ts';
import {
  createScene,
  draftManifest,
  makeP256,
  publicJwk,
  trust,
  type Scene,
} from '../peer/scene.test.ts';

/** A scene in which two parties have brokers, a secret, and a counter. */
export interface HeadScene {
  readonly scene: Scene;
  readonly manifest: TrustedManifest;
  readonly draft: JsonObject;
  readonly hospital: CryptoKeyPair;
  readonly diagnostics: CryptoKeyPair;
}

export async function createHeadScene(changes: JsonObject = {}): Promise<HeadScene> {
  const scene = await createScene();
  const [hospital, diagnostics] = await Promise.all([makeP256(), makeP256()]);
  const draft = await draftManifest(scene);
  const party = async (name: 'hospital' | 'platform' | 'diagnostics', broker?: CryptoKeyPair) => ({
    keys: [{ ...(await publicJwk(scene.parties[name])) }],
    ...(broker === undefined ? {} : { broker: { sig: { ...(await publicJwk(broker)) } } }),
  });
  const full: JsonObject = {
    ...draft,
    parties: {
      hospital: await party('hospital', hospital),
      platform: await party('platform'),
      diagnostics: await party('diagnostics', diagnostics),
    },
    secrets: {
      'tenant-key': { owner: 'hospital', type: 'aes256', to: ['records'] },
      'model-key': { owner: 'diagnostics', type: 'imported', to: ['records'] },
    },
    counters: { 'records-log': { owner: 'hospital', to: ['records'] } },
    ...changes,
  };
  return { scene, manifest: await trust(scene, full), draft: full, hospital, diagnostics };
}
