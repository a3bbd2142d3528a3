import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import {
  headHash,
  parseEnvelope,
  parseRuntimeData,
  type VerifiedPeer,
} from '@cloister/attestation';
import { parseJsonObject } from '@cloister/bytes';
import { connectToGate, createRedisLink } from '@cloister/service';
import { createFakeBroker, type FakeBroker } from './fake-broker.test.ts';
import { redisMissing, startRedis, type RedisServer } from './redis-server.test.ts';
import { createScene, makeHead, makeToken, trust, type Scene } from './scene.test.ts';

const MAIN = fileURLToPath(new URL('main.ts', import.meta.url));
const start = (args: readonly string[]): ChildProcess =>
  spawn(process.execPath, ['--conditions=@cloister/source', MAIN, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });

const urlOf = (server: ReturnType<typeof createServer>): string =>
  `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

const runtimeData = async (url: string) => {
  const answer = await fetch(`${url}/attestation/evidence`);
  return parseRuntimeData(parseEnvelope(parseJsonObject(await answer.text())).runtimeData);
};

describe('the process', { skip: redisMissing }, () => {
  let folder: string;
  let redis: RedisServer;
  let scene: Scene;
  let issuer: ReturnType<typeof createServer>;
  let broker: FakeBroker;
  let brokerServer: ReturnType<typeof createServer>;
  let child: ChildProcess;
  const lines: string[] = [];
  const lineLike = async (pattern: RegExp): Promise<string> => {
    for (let i = 0; i < 400; i++) {
      const found = lines.map((line) => pattern.exec(line)).find((one) => one !== null);
      if (found !== undefined) return found[1] ?? '';
      await sleep(25);
    }
    throw new Error(`no line like ${String(pattern)} in ${lines.join('\n')}`);
  };
  const manifestFile = (): string => join(folder, 'manifest.json');
  const writeManifest = (text: string): void => {
    writeFileSync(`${manifestFile()}.new`, text);
    renameSync(`${manifestFile()}.new`, manifestFile());
  };
  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'cloister-cache-'));
    redis = await startRedis();
    scene = await createScene();
    const { file } = await trust(scene.parties, scene.draft);
    writeManifest(file);
    broker = createFakeBroker([scene.head], file);
    brokerServer = createServer((request, response) => {
      void (async () => {
        const answer = await broker.fetch(new Request(`http://broker${request.url}`));
        response.writeHead(answer.status, { 'content-type': 'application/json' });
        response.end(await answer.text());
      })();
    });
    brokerServer.listen(0, '127.0.0.1');
    await once(brokerServer, 'listening');
    issuer = createServer((request, response) => {
      if (request.url?.startsWith('/certs') === true)
        response.end(JSON.stringify({ keys: [{ ...scene.issuerJwk, alg: 'ES256', use: 'sig' }] }));
      else response.writeHead(503).end();
    });
    issuer.listen(0, '127.0.0.1');
    await once(issuer, 'listening');
    child = start([
      '--manifest',
      manifestFile(),
      '--platform',
      join(folder, 'platform'),
      '--attestation',
      urlOf(issuer),
      '--brokers',
      `hospital=${urlOf(brokerServer)}`,
      '--redis',
      `unix:${redis.path}`,
    ]);
    for (const stream of [child.stdout, child.stderr])
      if (stream !== null) createInterface(stream).on('line', (line) => lines.push(line));
  });
  after(async () => {
    child.kill('SIGKILL');
    for (const server of [issuer, brokerServer]) {
      server.closeAllConnections();
      server.close();
    }
    await redis.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  it('serves its evidence, and Redis at the TLS key that stands in it', async () => {
    const url = await lineLike(/^listening on (http:\S+)$/);
    const port = Number(await lineLike(/^gate on rediss:\/\/127\.0\.0\.1:(\d+)$/));
    const data = await runtimeData(url);
    assert.equal(data.service, 'cache');
    assert.deepEqual(data.manifests, [scene.manifest.id]);
    const ready = await fetch(`${url}/health/ready`);
    const parts = { redis: true, manifest: true, heads: true };
    assert.deepEqual(await ready.json(), { ready: true, parts });
    assert.deepEqual(data.heads, [await headHash(scene.head)]);
    const peer = { tls: data.tls } as VerifiedPeer;
    const { cert, key } = scene.tls;
    const link = createRedisLink({
      connect: () => connectToGate({ host: '127.0.0.1', port, peer, cert, key }),
      token: () => makeToken(scene),
    });
    assert.equal(await link.send(['SET', 'records:a', '1']), 'OK');
    await link.close();
    await assert.rejects(
      connectToGate({
        host: '127.0.0.1',
        port,
        peer: { tls: '00'.repeat(32) } as VerifiedPeer,
        cert,
        key,
      }),
      { name: 'UnavailableError', code: 'bad_answer' },
    );
  });

  it('follows the manifest: another identity, and whom it drops is cut', async () => {
    const url = await lineLike(/^listening on (http:\S+)$/);
    const port = Number(await lineLike(/^gate on rediss:\/\/127\.0\.0\.1:(\d+)$/));
    const peer = { tls: (await runtimeData(url)).tls } as VerifiedPeer;
    const { cert, key } = scene.tls;
    const socket = await connectToGate({ host: '127.0.0.1', port, peer, cert, key });
    const token = await makeToken(scene);
    socket.write(`*2\r\n$4\r\nAUTH\r\n$${token.length}\r\n${token}\r\n`);
    const [answer] = (await once(socket, 'data')) as [Buffer];
    assert.equal(answer.toString(), '+OK\r\n');
    const draft = {
      ...scene.draft,
      serial: 2,
      previous: scene.manifest.id,
      cache: { roles: { reader: '~records:public:* +@read' } },
    };
    const next = await trust(scene.parties, draft, scene.manifest);
    // The file is as it was: the hospital's broker names the next one in its head, and has it.
    broker.manifests.push(next.file);
    broker.push(await makeHead(scene, { manifest: next.manifest, logSize: 5 }));
    await once(socket, 'close');
    await lineLike(/("event":"manifest","serial":2)/);
    const data = await runtimeData(url);
    const ids = [scene.manifest.id, next.manifest.id].toSorted();
    assert.deepEqual(data.manifests, ids);
    assert.equal(data.tls, peer.tls);
    assert.deepEqual(data.heads, [await headHash(broker.heads[0] ?? '')]);
    const behind = await fetch(`${url}/health/ready`);
    assert.equal(behind.status, 200);
    const parts = { redis: true, manifest: false, heads: true };
    assert.deepEqual(await behind.json(), { ready: true, parts });
    writeManifest(next.file.replace('"serial":2', '"serial":3'));
    await lineLike(/("event":"manifest_refused")/);
    assert.equal((await fetch(`${url}/health/ready`)).status, 503);
  });

  it('ends on SIGTERM, and takes its users in Redis with it', async () => {
    const exit = once(child, 'exit');
    child.kill('SIGTERM');
    assert.deepEqual(await exit, [0, null]);
    const host = await redis.host();
    const users = await host.send(['ACL', 'USERS']);
    host.close();
    assert.equal(Array.isArray(users) ? users.length : 0, 1);
    assert.ok(!lines.join('\n').includes('records:a'));
  });
});

const ADDRESSES = [
  '--attestation',
  'http://127.0.0.1:1',
  '--brokers',
  'hospital=http://127.0.0.1:1',
];

describe('a process that is told something it cannot use', () => {
  for (const [what, args, words] of [
    ['no Redis', [], 'manifest: needed'],
    [
      'a manifest that is not there',
      [...ADDRESSES, '--manifest', '/nowhere', '--redis', 'unix:/r'],
      'manifest: cannot be read',
    ],
    [
      'a Redis elsewhere',
      [...ADDRESSES, '--manifest', '/nowhere', '--redis', 'redis://10.0.0.1'],
      'this machine',
    ],
    [
      'no broker',
      ['--attestation', 'http://127.0.0.1:1', '--manifest', '/nowhere', '--redis', 'unix:/r'],
      'brokers: needed',
    ],
  ] as const)
    it(`ends with code 2: ${what}`, async () => {
      const child = start(args);
      let text = '';
      child.stderr?.on('data', (chunk: Buffer) => {
        text += chunk.toString();
      });
      const [code] = (await once(child, 'close')) as [number];
      assert.equal(code, 2);
      assert.ok(text.includes(words), text);
    });
});
