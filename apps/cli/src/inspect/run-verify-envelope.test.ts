import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { encodeEnvelope, manifestId, parseManifest, signManifest } from '@cloister/attestation';
import {
  AT,
  createScene,
  draftManifest,
  makeEnvelope,
} from '../../../../packages/attestation/src/peer/scene.test.ts';

const MAIN = fileURLToPath(new URL('../main.ts', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'cloister-envelope-'));

function verify(file: string, ...more: readonly string[]) {
  const manifest = join(folder, 'manifest.json');
  const args = ['verify', join(folder, file), '--manifest', manifest, '--at', AT.toISOString()];
  const options = ['--conditions=@cloister/source', MAIN, ...args, ...more];
  return spawnSync(process.execPath, options, { encoding: 'utf8' });
}

describe('cloister verify <envelope> --manifest', async () => {
  const scene = await createScene();
  const draft = await draftManifest(scene);
  const id = await manifestId(parseManifest(JSON.stringify(draft)));
  const signatures: Record<string, string> = {};
  for (const [party, { privateKey }] of Object.entries(scene.parties)) {
    signatures[party] = await signManifest(id, party, privateKey);
  }
  writeFileSync(join(folder, 'manifest.json'), JSON.stringify({ manifest: draft, signatures }));
  const good = await makeEnvelope(scene);
  const debug = await makeEnvelope(scene, { facts: { debug: true } });
  for (const [name, envelope] of Object.entries({ good, debug })) {
    writeFileSync(join(folder, `${name}.json`), JSON.stringify(encodeEnvelope(envelope)));
  }
  after(() => rmSync(folder, { recursive: true }));

  it('verifies as the service that it says it is', () => {
    const { status, stdout, stderr } = verify('good.json');
    assert.equal(status, 0, stdout + stderr);
    assert.match(stdout, /as records, by manifest [0-9a-f]{64}/);
    assert.match(stdout, /SIMULATED hardware/);
  });

  it('refuses as another service, and an enclave that can be debugged', () => {
    const other = verify('good.json', '--service', 'inference', '--json');
    assert.equal(other.status, 2);
    assert.equal((JSON.parse(other.stdout) as { ok: boolean }).ok, false);
    const { status, stdout } = verify('debug.json');
    assert.equal(status, 2);
    assert.match(stdout, /refused: policy\.debug/);
  });
});
