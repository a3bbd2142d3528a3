import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { loadConfig } from '@cloister/service';
import { configSchema } from './config.ts';

const load = (args: readonly string[]) =>
  loadConfig(configSchema, { env: {}, args, readFile: (path) => readFile(path, 'utf8') });

describe('the configuration', () => {
  it('has an example that is one', async () => {
    const file = fileURLToPath(new URL('../config.example.json', import.meta.url));
    const config = await load(['--config', file]);
    assert.equal(config.party, 'hospital');
    assert.equal(config.vaultPort, 8086);
    assert.equal(config.prepare, false);
  });

  it('needs a party, and takes nothing that it does not know', async () => {
    await assert.rejects(load([]), /party/);
    await assert.rejects(load(['--party', 'No Party']), /party/);
    await assert.rejects(load(['--party', 'hospital', '--release-all', 'true']), /releaseAll/);
    await assert.rejects(load(['--party', 'hospital', '--vault-host', 'a b']), /vaultHost/);
  });
});
