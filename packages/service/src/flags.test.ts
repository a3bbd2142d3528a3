import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseFlags } from './flags.ts';

describe('parseFlags', () => {
  it('reads both spellings, and a flag without a value', () => {
    assert.deepEqual(
      parseFlags(['--port', '80', '--portal-origin=https://a.example', '--json', '--data', '/d']),
      { port: '80', portalOrigin: 'https://a.example', json: 'true', data: '/d' },
    );
  });

  for (const args of [['port', '80'], ['-p', '80'], ['--Port=1'], ['--', 'x'], ['--a', '--a']])
    it(`refuses ${args.join(' ')}`, () => {
      assert.throws(() => parseFlags(args), { name: 'ConfigError' });
    });
});
