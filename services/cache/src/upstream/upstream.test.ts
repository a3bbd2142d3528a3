import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { openRespConnection, type RespReply } from '@cloister/service';
import { parseRole } from '../access/role.ts';
import { redisMissing, startRedis } from '../redis-server.test.ts';
import { parseRedisAddress } from './redis-address.ts';
import { openUpstream } from './upstream.ts';

const textOf = (reply: RespReply): string =>
  reply instanceof Uint8Array ? reply.toString('latin1') : JSON.stringify(reply);

describe('parseRedisAddress', () => {
  it('takes sockets and ports of this machine', () => {
    assert.deepEqual(parseRedisAddress('unix:/run/r.sock'), { path: '/run/r.sock' });
    assert.deepEqual(parseRedisAddress('unix:///run/r.sock'), { path: '/run/r.sock' });
    const port = { host: '127.0.0.1', port: 6380 };
    assert.deepEqual(parseRedisAddress('redis://127.0.0.1:6380'), port);
    assert.deepEqual(parseRedisAddress('redis://localhost:6380'), port);
    assert.deepEqual(parseRedisAddress('redis://[::1]'), { host: '::1', port: 6379 });
  });

  for (const text of [
    'redis://10.0.0.1:6379',
    'redis://redis:6379',
    'redis://user:pw@127.0.0.1',
    'rediss://127.0.0.1',
    'unix:relative.sock',
    'redis://127.0.0.1:70000',
    'redis://127.0.0.1.evil.example',
    '',
  ])
    it(`refuses ${text}`, () => {
      assert.throws(() => parseRedisAddress(text), { name: 'ConfigError' });
    });
});

describe('openUpstream', { skip: redisMissing }, () => {
  const role = parseRole('records', '~records:* &records:* +@read +@write');
  const reader = parseRole('reader', '~public:* +@read');

  it('gives each role a user that Redis itself holds to its keys and commands', async () => {
    const redis = await startRedis();
    const upstream = await openUpstream(redis.address, [role, reader]);
    assert.match(upstream.version, /^\d+\.\d+\.\d+$/);
    assert.ok(await upstream.isReachable());
    for (const protocol of [2, 3] as const) {
      const socket = openRespConnection(await upstream.open(role, protocol));
      assert.equal(await socket.send(['SET', 'records:a', '1']), 'OK');
      await assert.rejects(socket.send(['GET', 'other']), { code: 'NOPERM' });
      await assert.rejects(socket.send(['CONFIG', 'GET', '*']), { code: 'NOPERM' });
      await assert.rejects(socket.send(['ACL', 'LIST']), { code: 'NOPERM' });
      await assert.rejects(socket.send(['EVAL', 'return 1', '0']), { code: 'NOPERM' });
      await assert.rejects(socket.send(['PUBLISH', 'other', '1']), { code: 'NOPERM' });
      socket.close();
    }
    const host = await redis.host();
    const users = async (): Promise<string> => textOf(await host.send(['ACL', 'USERS']));
    assert.equal(((await users()).match(/data/g) ?? []).length, 3);
    await upstream.setRoles([reader]);
    assert.equal(((await users()).match(/data/g) ?? []).length, 2);
    await upstream.close();
    assert.equal(((await users()).match(/data/g) ?? []).length, 1);
    host.close();
    await redis.stop();
  });

  it('makes the users again when Redis was restarted', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'cloister-redis-'));
    const first = await startRedis(folder);
    const upstream = await openUpstream(first.address, [role]);
    await first.stop();
    assert.ok(!(await upstream.isReachable()));
    await assert.rejects(upstream.open(role, 2), { name: 'UnavailableError', code: 'unreachable' });
    const second = await startRedis(folder);
    const socket = openRespConnection(await upstream.open(role, 3));
    assert.equal(await socket.send(['PING']), 'PONG');
    socket.close();
    await second.stop();
    rmSync(folder, { recursive: true });
  });

  it('refuses to start without Redis', async () => {
    await assert.rejects(openUpstream({ path: '/nowhere/redis.sock' }, [role]), {
      name: 'UnavailableError',
    });
  });
});
