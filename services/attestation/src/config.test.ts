import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { loadConfig } from '@cloister/service';
import { configSchema } from './config.ts';

it('the example configuration is one', async () => {
  const file = fileURLToPath(new URL('../config.example.json', import.meta.url));
  const config = await loadConfig(configSchema, {
    env: {},
    args: ['--config', file],
    readFile: (path) => readFile(path, 'utf8'),
  });
  assert.equal(config.publicUrl, 'https://attestation.example');
  assert.equal(config.prepare, false);
});
