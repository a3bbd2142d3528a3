import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import {
  manifestId,
  parseEnvelope,
  parseIssuerKeys,
  parseRuntimeData,
  platformRootDigest,
  signManifest,
  verifyToken,
  type Manifest,
} from '@cloister/attestation';
import { measureService, openSimulatedPlatform, PRODUCT_IDS } from '@cloister/attester';
import { encodeBase64url, encodeUtf8, type JsonValue } from '@cloister/bytes';
import { jwkThumbprint } from '@cloister/crypto';
import { b64, post, random } from './fixture.test.ts';

const MAIN = fileURLToPath(new URL('main.ts', import.meta.url));
const CLI = fileURLToPath(new URL('../../../apps/cli/src/main.ts', import.meta.url));
const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const NODE = ['--conditions=@cloister/source', MAIN];
const folder = mkdtempSync(join(tmpdir(), 'cloister-attestation-'));
const manifestFile = join(folder, 'manifest.json');
const flags = ['--platform', join(folder, 'platform'), '--data', join(folder, 'data')];
const env = { PATH: process.env['PATH'] };

async function start(): Promise<{ url: string; stop: () => Promise<number | null> }> {
  const args = [...NODE, ...flags, '--manifest', manifestFile, '--port', '0'];
  const child = spawn(process.execPath, args, { env, stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = once(child, 'exit') as Promise<[number | null]>;
  after(() => child.kill('SIGKILL'));
  for await (const line of createInterface(child.stdout)) {
    const url = /^listening on (http:\S+)$/.exec(line)?.[1];
    if (url === undefined) continue;
    child.stdout.resume();
    const stop = async () => {
      child.kill('SIGTERM');
      return (await ended)[0];
    };
    return { url, stop };
  }
  return assert.fail('the service ended before it listened');
}

/** A manifest of profile dev, signed by its one party. */
async function writeManifest(): Promise<string> {
  const platform = await openSimulatedPlatform(join(folder, 'platform'));
  const es256 = { name: 'ECDSA', namedCurve: 'P-256' };
  const party = await crypto.subtle.generateKey(es256, true, ['sign', 'verify']);
  const { x = '', y = '' } = await crypto.subtle.exportKey('jwk', party.publicKey);
  const mrenclave = await measureService({ root: ROOT, service: 'attestation' });
  const manifest: Manifest = {
    apiVersion: 'cloister.dev/v1',
    deployment: 'test',
    profile: 'dev',
    serial: 1,
    lease: 900,
    parties: { hospital: { keys: [{ kty: 'EC', crv: 'P-256', x, y }] } },
    quorum: { update: { of: ['hospital'], min: 1 } },
    evidence: { roots: { simulated: [await platformRootDigest(platform)] }, platforms: 'any' },
    issuers: [],
    services: {
      attestation: {
        identity: {
          anyOf: [
            {
              tee: 'sgx',
              mrenclave: [mrenclave],
              isvProdId: PRODUCT_IDS.attestation,
              minIsvSvn: 1,
            },
          ],
        },
      },
    },
  };
  const id = await manifestId(manifest);
  const signatures = { hospital: await signManifest(id, 'hospital', party.privateKey) };
  writeFileSync(manifestFile, JSON.stringify({ manifest, signatures }));
  return id;
}

const prepare = (): string[] => {
  const { stdout } = spawnSync(process.execPath, [...NODE, ...flags, '--prepare'], { env });
  return (JSON.parse(stdout.toString()) as { issuerKeys: string[] }).issuerKeys;
};

const cloister = (...args: string[]) =>
  spawnSync(process.execPath, ['--conditions=@cloister/source', CLI, ...args], { env });

describe('the process', async () => {
  after(() => rmSync(folder, { recursive: true }));
  const id = await writeManifest();

  it('starts, proves what it is, signs what others pinned before, stops, and does so again', async () => {
    const [pinned] = prepare();
    for (let run = 0; run < 2; run++) {
      const { url, stop } = await start();
      const certs = (await (await fetch(`${url}/certs`)).json()) as JsonValue;
      const keys = parseIssuerKeys(certs);
      assert.equal(await jwkThumbprint(keys[0] ?? assert.fail('no key')), pinned);
      const nonce = encodeBase64url(random(32));
      const answer = await fetch(`${url}/attestation/evidence`, post({ nonce }));
      const { format, evidence, runtimeData } = parseEnvelope((await answer.json()) as JsonValue);
      assert.equal(format, 'simulated-sgx-quote');
      const data = parseRuntimeData(runtimeData);
      assert.deepEqual([data.service, data.manifests, data.nonce], ['attestation', [id], nonce]);
      const attested = await fetch(
        `${url}/attest/Simulated?api-version=2025-06-01`,
        post({ quote: b64(evidence), runtimeData: { data: b64(runtimeData), dataType: 'JSON' } }),
      );
      const { token } = (await attested.json()) as { token: string };
      const result = await verifyToken(token, { issuers: [{ iss: url, keys }], at: new Date() });
      assert.ok(result.ok);
      const verified = cloister('verify', url, '--manifest', manifestFile, '--json');
      const { ok, signingKeys } = JSON.parse(verified.stdout.toString()) as {
        ok: boolean;
        signingKeys: { ok: boolean; checks: { check: string; outcome: string }[] }[];
      };
      assert.equal(verified.status, 0, verified.stdout.toString());
      assert.ok(ok);
      const [signing] = signingKeys;
      const named = signing?.checks.find(({ check }) => check === 'evidence names the key');
      assert.equal(named?.outcome, 'passed');
      assert.match(
        cloister('verify', url, '--manifest', manifestFile).stdout.toString(),
        /yes {2}Does that enclave hold the key that signs tokens\?/,
      );
      assert.equal(await stop(), 0);
    }
  });

  const refused: Readonly<Record<string, string[]>> = {
    'an unknown flag': ['--nonsense', '1'],
    'a manifest that is not there': ['--manifest', join(folder, 'absent.json')],
    'collateral that is not there': ['--collateral', join(folder, 'absent')],
  };
  for (const [what, args] of Object.entries(refused))
    it(`ends with one line when started with ${what}`, () => {
      const { status, stderr, stdout } = spawnSync(process.execPath, [...NODE, ...args], { env });
      assert.equal(status, 2);
      assert.match(stderr.toString(), /^configuration: \S.*\n$/);
      assert.equal(stdout.toString(), '');
    });

  it('does not start with a manifest whose signature is of another', async () => {
    const other = join(folder, 'unsigned.json');
    const text = encodeUtf8('{"manifest":{},"signatures":{}}');
    writeFileSync(other, text);
    const { status } = spawnSync(process.execPath, [...NODE, '--manifest', other], { env });
    assert.equal(status, 2);
  });
});
