import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { EventEmitter } from 'node:events';
import { describe, it } from 'node:test';
import { silenceExpectedWarnings } from './silence-expected-warnings.ts';

const run = (lines: string) =>
  spawnSync(
    process.execPath,
    ['--conditions=@cloister/source', '--input-type=module', '--eval', lines],
    { encoding: 'utf8', timeout: 20_000 },
  );
const silence = `
  import { silenceExpectedWarnings } from ${JSON.stringify(import.meta.resolve('./silence-expected-warnings.ts'))};
  silenceExpectedWarnings(process);`;
const mlKem = `
  const { publicKey } = await crypto.subtle.generateKey('ML-KEM-768', false, ['encapsulateBits', 'decapsulateBits']);
  await crypto.subtle.encapsulateBits('ML-KEM-768', publicKey);`;

describe('silenceExpectedWarnings', () => {
  it("keeps Node from printing the warnings of WebCrypto's ML-KEM", () => {
    // Without it they are there: else this test would prove nothing.
    assert.match(run(mlKem).stderr, /ML-KEM-768[^]*encapsulateBits/);
    const { stderr, status } = run(silence + mlKem);
    assert.equal(stderr, '');
    assert.equal(status, 0);
  });

  it('lets every other warning be printed', () => {
    const { stderr } = run(`${silence}
      process.emitWarning('another feature', 'ExperimentalWarning');
      process.emitWarning('The ML-KEM-768 Web Crypto API algorithm is an experimental feature');
      process.emitWarning('old', 'DeprecationWarning');`);
    assert.match(stderr, /ExperimentalWarning: another feature/);
    assert.match(stderr, /Warning: The ML-KEM-768/);
    assert.match(stderr, /DeprecationWarning: old/);
  });

  it('passes what is left to whoever listened before, and once', () => {
    const source = new EventEmitter();
    const heard: string[] = [];
    source.on('warning', ({ message }: Error) => heard.push(`first ${message}`));
    source.on('warning', ({ message }: Error) => heard.push(`second ${message}`));
    silenceExpectedWarnings(source);
    source.emit('warning', Object.assign(new Error('x'), { name: 'Warning' }));
    assert.deepEqual(heard, ['first x', 'second x']);
  });
});
