import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as v from 'valibot';
import { loadConfig } from './config.ts';
import { serviceSettings, switchSetting } from './settings.ts';

const schema = v.strictObject({ ...serviceSettings, verbose: v.optional(switchSetting(), false) });
const files: Readonly<Record<string, string>> = {
  'good.json': '{"port": 1, "host": "::1", "portalOrigin": ["https://a.example"]}',
  'unknown.json': '{"prot": 1}',
  'broken.json': '{"port": 1',
};
const load = (args: string[], env: Record<string, string> = {}) =>
  loadConfig(schema, {
    env,
    args,
    readFile: async (path) => files[path] ?? Promise.reject(new Error(`no ${path}`)),
  });

describe('loadConfig', () => {
  it('lets the environment win over the file, and flags over both', async () => {
    const config = await load(['--config', 'good.json', '--verbose', '--port', '3'], {
      CLOISTER_PORT: '2',
      CLOISTER_HOST: '127.0.0.2',
      CLOISTER_NOT_OURS: 'x',
      PORT: '9',
    });
    assert.deepEqual(config, {
      port: 3,
      host: '127.0.0.2',
      portalOrigin: ['https://a.example'],
      verbose: true,
    });
  });

  it('drops the slash at the end of an address', async () => {
    const { attestation } = await load(['--attestation', 'http://127.0.0.1:1/']);
    assert.equal(attestation, 'http://127.0.0.1:1');
  });

  const refused: Readonly<Record<string, string[]>> = {
    'an unknown flag': ['--prot', '1'],
    'an unknown member of the file': ['--config', 'unknown.json'],
    'a file that is no JSON': ['--config', 'broken.json'],
    'a file that is not there': ['--config', 'absent.json'],
    'a port out of range': ['--port', '65536'],
    'a port that is no number': ['--port', '8o'],
    'an address with a password': ['--attestation', 'http://a:b@127.0.0.1'],
    'an address of another scheme': ['--attestation', 'file:///etc/passwd'],
    'an origin with a path': ['--portal-origin', 'https://a.example/x'],
    'any origin': ['--portal-origin', '*'],
  };
  for (const [what, args] of Object.entries(refused))
    it(`refuses ${what}, naming the setting only`, async () => {
      await assert.rejects(load(args), (error: Error) => {
        assert.equal(error.name, 'ConfigError');
        assert.ok(!error.message.includes('passwd') && !error.message.includes('a:b'));
        return true;
      });
    });
});
