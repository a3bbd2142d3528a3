/** Unmodified clients, a real Redis, and the gate between them (issue D, point 7). */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { Redis } from 'ioredis';
import { createClient } from 'redis';
import {
  redisMissing,
  startRedis,
  type RedisServer,
} from '../../services/cache/src/redis-server.test.ts';
import {
  createScene,
  makeToken,
  startGate,
  type RunningGate,
  type Scene,
} from '../../services/cache/src/scene.test.ts';

describe('the gate before a real Redis', { skip: redisMissing }, () => {
  let redis: RedisServer;
  let scene: Scene;
  let gate: RunningGate;
  before(async () => {
    redis = await startRedis();
    scene = await createScene();
    gate = await startGate(scene, redis);
  });
  after(async () => {
    await gate.stop();
    await redis.stop();
  });
  const tls = () => ({
    cert: scene.tls.cert,
    key: scene.tls.key,
    ca: gate.serverTls.cert,
    servername: 'cache.cloister.internal',
  });

  it('ioredis', async () => {
    const client = new Redis({
      host: '127.0.0.1',
      port: gate.listening.port,
      password: await makeToken(scene),
      tls: tls(),
      retryStrategy: null,
    });
    client.on('error', (e) => console.log(e));
    assert.equal(await client.set('records:a', 'hello'), 'OK');
    assert.equal(await client.get('records:a'), 'hello');
    await assert.rejects(client.get('other:a'), /NOPERM/);
    await assert.rejects(client.config('GET', '*'), /NOPERM/);
    assert.equal(await client.get('records:a'), 'hello');
    client.disconnect();
  });

  it('redis', async () => {
    const client = createClient({
      RESP: 3,
      socket: {
        host: '127.0.0.1',
        port: gate.listening.port,
        tls: true,
        ...tls(),
        reconnectStrategy: false,
      },
      username: 'records',
      password: await makeToken(scene),
    });
    client.on('error', (e) => console.log(e));
    await client.connect();
    assert.equal(await client.set('records:a', 'hello'), 'OK');
    assert.equal(await client.get('records:a'), 'hello');
    client.destroy();
  });
});
