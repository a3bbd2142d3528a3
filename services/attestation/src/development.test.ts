import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { stripTypeScriptTypes } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { encodePem } from '@cloister/bytes';
import { configSchema } from './config.ts';
import { developmentSchema } from './development.ts';

const MAIN = fileURLToPath(new URL('main.ts', import.meta.url));
const start = (...args: string[]) =>
  spawnSync(process.execPath, ['--conditions=@cloister/source', MAIN, ...args], {
    env: { PATH: process.env['PATH'] },
  });

describe('the development entry point', () => {
  const only = Object.keys(developmentSchema.entries).filter(
    (name) => !Object.hasOwn(configSchema.entries, name),
  );

  it('adds options that production does not know', () => {
    assert.deepEqual(only.toSorted(), [
      'acceptTcb',
      'development',
      'managementToken',
      'permitDebugEvidence',
      'verificationTime',
    ]);
    for (const flag of ['--verification-time', '--permit-debug-evidence', '--management-token']) {
      const { status, stderr } = start(flag, '1');
      assert.equal(status, 2, flag);
      assert.match(stderr.toString(), /^configuration: /);
    }
  });

  it('is in no bundle: nothing imports it by a constant name', () => {
    for (const name of ['main', 'run-service', 'app']) {
      const file = fileURLToPath(new URL(`${name}.ts`, import.meta.url));
      const text = stripTypeScriptTypes(readFileSync(file, 'utf8'));
      assert.ok(!text.includes('./development'), name);
    }
  });

  it('refuses a file of signers without a certificate, or with a broken one', () => {
    const folder = mkdtempSync(join(tmpdir(), 'cloister-development-'));
    for (const [name, text] of [
      ['none.pem', encodePem('PRIVATE KEY', Uint8Array.of(1))],
      ['broken.pem', encodePem('CERTIFICATE', Uint8Array.of(1))],
    ] as const) {
      const file = join(folder, name);
      writeFileSync(file, text);
      const { status, stderr } = start('--development', '--isolated', file);
      assert.equal(status, 2, name);
      assert.match(stderr.toString(), /configuration: isolated: /);
    }
    rmSync(folder, { recursive: true });
  });

  it('refuses statuses that it does not know, and Revoked', () => {
    for (const statuses of ['Fine', 'Revoked', 'UpToDate,']) {
      const { status, stderr } = start('--development', '--accept-tcb', statuses);
      assert.equal(status, 2, statuses);
      assert.match(stderr.toString(), /configuration: acceptTcb/);
    }
  });
});
