import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { shared, sharedMissing } from '../shared.ts';
import {
  intelAnswers,
  intelRoutes,
  serveRoutes,
  SGX_PLATFORM,
  vector,
  type LocalServer,
} from './collateral-sources-server.ts';

const MAIN = fileURLToPath(new URL('../../apps/cli/src/main.ts', import.meta.url));
const QUOTE = shared(`vectors/${SGX_PLATFORM.quote}`);
const AT = SGX_PLATFORM.at.toISOString();

interface Run {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

/** The program as people call it. */
function cloister(...args: readonly string[]): Promise<Run> {
  const child = spawn(process.execPath, ['--conditions=@cloister/source', MAIN, ...args]);
  const out: Buffer[] = [];
  const err: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => out.push(chunk));
  child.stderr.on('data', (chunk: Buffer) => err.push(chunk));
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => {
      resolve({ code, out: Buffer.concat(out).toString(), err: Buffer.concat(err).toString() });
    });
  });
}

describe('cloister collateral, quote and verify', { skip: sharedMissing }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'cloister-collateral-cli-'));
  const bundle = join(folder, 'bundle.json');
  let server: LocalServer;

  before(async () => {
    const rootCrl = {
      '/sgx/certification/v4/rootcacrl': {
        body: Buffer.from(intelAnswers(SGX_PLATFORM).rootCaCrl).toString('hex'),
      },
    };
    server = await serveRoutes(intelRoutes(SGX_PLATFORM, { rootCrl }));
  });
  after(async () => {
    await server.close();
    rmSync(folder, { recursive: true });
  });

  it('fetch makes a bundle of what a quote needs, and says where it came from', async () => {
    const source = ['--source', `pccs=${server.url}`];
    const run = await cloister('collateral', 'fetch', '--for', QUOTE, ...source, '--out', bundle);
    assert.equal(run.code, 0, run.err);
    assert.match(run.err, /TCB info: from pccs, now, expired, ends 2025-06-26/);
    assert.match(run.err, /root CA CRL: from pccs/);
    assert.match(readFileSync(bundle, 'utf8'), /"cloisterCollateral": 1/);
  });

  it('inspect shows each document, its dates and numbers, and that it verifies', async () => {
    const good = await cloister('collateral', 'inspect', bundle, '--at', AT);
    assert.equal(good.code, 0, good.out);
    assert.match(good.out, /Intel SGX, FMSPC 00906ed50000, processor CA, evaluation number 17/);
    for (const document of ['TCB info', 'QE identity', 'PCK CRL', 'root CA CRL']) {
      assert.match(good.out, new RegExp(`good +${document} +2025-\\d\\d-\\d\\d to 202\\d`));
    }
    const late = await cloister('collateral', 'inspect', bundle, '--at', '2026-01-01', '--json');
    assert.equal(late.code, 2);
    assert.match(late.out, /"verdict": "out-of-date"/);
  });

  it('inspect finds what was tampered with', async () => {
    const changed = join(folder, 'changed.json');
    const text = readFileSync(bundle, 'utf8').replace('OutOfDate', 'UpToDate');
    writeFileSync(changed, text);
    const run = await cloister('collateral', 'inspect', changed, '--at', AT);
    assert.equal(run.code, 2);
    assert.match(run.out, /refused +TCB info .*tcbinfo\.signature/);
  });

  it('verify judges the quote by the bundle: genuine, and refused by policy', async () => {
    const args = ['verify', QUOTE, '--collateral', bundle, '--at', AT];
    const run = await cloister(...args);
    assert.equal(run.code, 2, run.err);
    assert.match(run.out, /quote is signed by the attestation key\n/);
    assert.match(run.out, /genuine, but refused: policy\.debug/);
    const allowed = await cloister(...args, '--danger-allow-debug', '--accept-tcb', 'OutOfDate');
    assert.equal(allowed.code, 0, allowed.out + allowed.err);
    assert.match(allowed.out, /\nverified\n$/);
  });

  it('verify reads hex, checks what it is bound to, and answers in JSON', async () => {
    const hex = join(folder, 'quote.hex');
    writeFileSync(hex, Buffer.from(vector(SGX_PLATFORM.quote)).toString('hex'));
    const runtimeData = join(folder, 'runtime-data');
    writeFileSync(runtimeData, 'something else');
    const judged = ['verify', hex, '--collateral', bundle, '--at', AT, '--json'];
    const lenient = ['--danger-allow-debug', '--accept-tcb', 'OutOfDate'];
    const run = await cloister(...judged, ...lenient, '--runtime-data', runtimeData);
    assert.equal(run.code, 2);
    const result = JSON.parse(run.out) as { ok: boolean; genuine: boolean; code: string };
    assert.deepEqual([result.ok, result.genuine, result.code], [false, true, 'policy.report_data']);
  });

  it('verify refuses after the bundle has ended', async () => {
    const run = await cloister('verify', QUOTE, '--collateral', bundle, '--at', '2026-01-01');
    assert.equal(run.code, 2);
    assert.match(run.out, /refused: crl\.expired/);
  });

  it('verify without collateral says how to get it', async () => {
    const run = await cloister('verify', QUOTE);
    assert.equal(run.code, 1);
    assert.match(
      run.err,
      /cloister collateral fetch --tee sgx --fmspc 00906ed50000 --ca processor/,
    );
  });

  it('verify asks a source that was named, and says so', async () => {
    const run = await cloister('verify', QUOTE, '--source', `pccs=${server.url}`, '--at', AT);
    assert.match(run.out, /TCB info: bundle has none \(not_found\)\n +TCB info: from pccs/);
    assert.match(run.out, /genuine, but refused/);
  });

  it('a failing source is named', async () => {
    server.interrupt(...Array.from({ length: 4 }, () => ({ status: 404 })));
    const source = ['--source', `pccs=${server.url}`];
    const run = await cloister('collateral', 'fetch', '--for', QUOTE, ...source);
    assert.equal(run.code, 1);
    assert.match(run.err, /TCB info: pccs has none \(not_found, status 404\)/);
    assert.equal(run.out, '');
  });

  it('quote inspect prints fields, and JSON', async () => {
    const run = await cloister('quote', 'inspect', QUOTE);
    assert.equal(run.code, 0);
    assert.match(run.out, /^SGX quote, version 3/);
    const json = await cloister('quote', 'inspect', QUOTE, '--json');
    const { sections } = JSON.parse(json.out) as { sections: { title: string }[] };
    assert.equal(sections[0]?.title, 'header');
  });

  it('wrong use explains itself', async () => {
    for (const args of [['quote'], ['collateral'], ['collateral', 'inspect'], ['verify']]) {
      const run = await cloister(...args);
      assert.equal(run.code, 64, args.join(' '));
      assert.match(run.err, /Exit codes/);
    }
    const both = await cloister(
      'collateral',
      'fetch',
      '--update',
      'early',
      '--evaluation-number',
      '3',
    );
    assert.equal(both.code, 1);
  });
});
