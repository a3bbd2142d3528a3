import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { it } from 'node:test';
import { hashPortalBuild } from './portal-server.ts';

it('a portal build has another hash when any of its files changes, appears or is gone', () => {
  const folder = mkdtempSync(join(tmpdir(), 'cloister-build-'));
  const hashes = new Set<string>();
  for (const [name, text] of [
    ['a.js', '1'],
    ['a.js', '2'],
    ['b.js', '2'],
  ] as const) {
    writeFileSync(join(folder, name), text);
    hashes.add(hashPortalBuild(folder));
  }
  rmSync(join(folder, 'a.js'));
  hashes.add(hashPortalBuild(folder));
  assert.equal(readdirSync(folder).length, 1);
  assert.equal(hashes.size, 4);
  rmSync(folder, { recursive: true });
});
