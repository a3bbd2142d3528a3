/**
 * The Redis gate as others meet it (issue D, point 7): unmodified `ioredis` and `redis` clients with
 * ordinary options, a real Redis behind it, and attackers who speak TLS and RESP by hand.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect as connectPlain } from 'node:net';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect, type ConnectionOptions, type TLSSocket } from 'node:tls';
import { Redis, type RedisOptions } from 'ioredis';
import { createClient } from 'redis';
import { tlsName, type TlsKey } from '@cloister/attester';
import { headHash } from '@cloister/attestation';
import type { JsonObject } from '@cloister/bytes';
import { judgeAgain } from '../../services/cache/src/trust/authenticate.ts';
import { rolesOf } from '../../services/cache/src/trust/roles.ts';
import {
  redisMissing,
  startRedis,
  type RedisServer,
} from '../../services/cache/src/redis-server.test.ts';
import {
  createScene,
  judgeBy,
  makeHead,
  makeTlsKey,
  makeToken,
  startGate,
  trust,
  type RunningGate,
  type Scene,
} from '../../services/cache/src/scene.test.ts';

let redis: RedisServer;
let scene: Scene;
let gate: RunningGate;
let token: string;

/** What a client is told of TLS: its own attested key, and the gate's. */
const tlsOf = (key: TlsKey = scene.tls): ConnectionOptions => ({
  cert: key.cert,
  key: key.key,
  ca: gate.serverTls.cert,
  servername: tlsName('cache'),
});

const withoutKey = (): ConnectionOptions => ({
  ca: gate.serverTls.cert,
  servername: tlsName('cache'),
});

const seconds = (): number => Math.floor(Date.now() / 1000);

type IoredisOptions = Omit<RedisOptions, 'replyMapping'>;

function ioredis(options: IoredisOptions = {}): { client: Redis; errors: Error[] } {
  const settings: IoredisOptions = {
    host: '127.0.0.1',
    port: gate.listening.port,
    password: token,
    tls: { ...tlsOf() },
    retryStrategy: () => null,
    ...options,
  };
  const client = new Redis(settings);
  const errors: Error[] = [];
  client.on('error', (error: Error) => errors.push(error));
  return { client, errors };
}

function nodeRedis(options: object = {}, tls = tlsOf()) {
  const client = createClient({
    username: 'records',
    password: token,
    ...options,
    socket: {
      host: '127.0.0.1',
      port: gate.listening.port,
      tls: true,
      reconnectStrategy: false,
      ...tls,
    },
  });
  const errors: Error[] = [];
  client.on('error', (error: Error) => errors.push(error));
  return { client, errors };
}

/** A TLS connection on which the test speaks RESP itself. */
async function raw(options: ConnectionOptions = tlsOf()): Promise<TLSSocket> {
  const socket = connect({ host: '127.0.0.1', port: gate.listening.port, ...options });
  await once(socket, 'secureConnect');
  socket.setNoDelay(true);
  socket.on('error', () => undefined);
  return socket;
}

/** All that comes until the gate ends the connection, or nothing came for a while. */
async function hear(socket: TLSSocket, quietMs = 250): Promise<{ text: string; ended: boolean }> {
  let text = '';
  const state = { ended: false };
  let last = performance.now();
  socket.on('data', (chunk: Buffer) => {
    text += chunk.toString('latin1');
    last = performance.now();
  });
  socket.on('close', () => {
    state.ended = true;
  });
  while (!state.ended && performance.now() - last < quietMs) await sleep(10);
  return { text, ended: state.ended };
}

const request = (...args: string[]): string =>
  `*${args.length}\r\n${args.map((arg) => `$${arg.length}\r\n${arg}\r\n`).join('')}`;

const refusal = (code: string): RegExp =>
  new RegExp(`^-WRONGPASS [^\\r]*: ${code}\\r\\n-NOAUTH [^\\r]*\\r\\n$`);

/** What a login with this token and TLS key is told. */
async function logIn(password: string, key: TlsKey | null = scene.tls): Promise<string> {
  const socket = await raw(key === null ? withoutKey() : tlsOf(key));
  socket.write(request('AUTH', password) + request('GET', 'records:secret'));
  const { text } = await hear(socket);
  socket.destroy();
  return text;
}

describe('the gate before a real Redis', { skip: redisMissing }, () => {
  before(async () => {
    redis = await startRedis();
    scene = await createScene();
    gate = await startGate(scene, redis);
    token = await makeToken(scene);
    const host = await redis.host();
    await host.send(['SET', 'records:secret', 'known only to records']);
    host.close();
  });
  after(async () => {
    await gate.stop();
    await redis.stop();
  });

  describe('with ioredis', () => {
    for (const protocol of [2, 3] as const)
      it(`is an ordinary Redis in RESP${protocol}: values, pipelines, transactions, blocking, subscriptions`, async () => {
        const { client, errors } = ioredis({ protocol });
        await client.del('records:n', 'records:list');
        const big = 'x'.repeat(3 << 20);
        assert.equal(await client.set('records:a', 'hello', 'EX', 60), 'OK');
        assert.equal(await client.get('records:a'), 'hello');
        assert.equal(await client.set('records:big', big), 'OK');
        assert.equal(await client.get('records:big'), big);
        const results = await client
          .pipeline()
          .incr('records:n')
          .incr('other:n')
          .incr('records:n')
          .exec();
        assert.deepEqual(
          results?.map(([error, value]) => error?.message.slice(0, 6) ?? value),
          [1, 'NOPERM', 2],
        );
        assert.deepEqual(await client.multi().incr('records:n').get('records:a').exec(), [
          [null, 3],
          [null, 'hello'],
        ]);
        await assert.rejects(client.multi().incr('records:n').incr('other:n').exec(), /EXECABORT/);
        assert.equal(await client.get('records:n'), '3');
        const subscriber = client.duplicate();
        const heard = once(subscriber, 'message');
        assert.equal(await subscriber.subscribe('records:events'), 1);
        await assert.rejects(subscriber.subscribe('other:events'), /NOPERM/);
        const blocked = client.duplicate();
        const popped = blocked.blpop('records:list', 5);
        await client.publish('records:events', 'now');
        assert.deepEqual(await heard, ['records:events', 'now']);
        await client.rpush('records:list', 'item');
        assert.deepEqual(await popped, ['records:list', 'item']);
        for (const one of [client, subscriber, blocked]) await one.quit();
        assert.deepEqual(errors, []);
      });

    it('gets NOPERM for what its role is not given, and goes on', async () => {
      const { client } = ioredis({ username: 'records' });
      await assert.rejects(client.get('other:a'), /NOPERM .* keys/);
      await assert.rejects(client.config('GET', '*'), /NOPERM .*'config'/);
      await assert.rejects(client.eval('return 1', 0), /NOPERM .*'eval'/);
      await assert.rejects(client.keys('*'), /NOPERM/);
      await assert.rejects(client.scan(0), /NOPERM/);
      await assert.rejects(client.select(1), /one database/);
      assert.equal(await client.get('records:secret'), 'known only to records');
      client.disconnect();
    });

    it('renews its token by AUTH on the live connection, or comes back with a new one', async () => {
      const short = await makeToken(scene, { exp: seconds() + 2 });
      const { client: live } = ioredis({ password: short });
      const { client: returning, errors } = ioredis({ password: short, retryStrategy: () => 10 });
      assert.equal(await live.get('records:secret'), 'known only to records');
      assert.equal(await returning.get('records:secret'), 'known only to records');
      await live.call('AUTH', token);
      returning.options.password = token;
      await once(returning, 'close');
      await sleep(300);
      assert.equal(await live.get('records:secret'), 'known only to records');
      assert.equal(await returning.get('records:secret'), 'known only to records');
      assert.ok(errors.every((error) => !error.message.includes('WRONGPASS')));
      live.disconnect();
      returning.disconnect();
    });

    it('gets WRONGPASS for a token that does not do', async () => {
      const { client, errors } = ioredis({ password: 'no.token.atall' });
      await assert.rejects(client.get('records:secret'));
      assert.match(String(errors[0]), /WRONGPASS/);
    });
  });

  describe('with redis', () => {
    for (const RESP of [2, 3])
      it(`is an ordinary Redis in RESP${RESP}`, async () => {
        const { client, errors } = nodeRedis({ RESP });
        await client.connect();
        assert.equal(await client.set('records:a', 'hello'), 'OK');
        assert.equal(await client.get('records:a'), 'hello');
        await client.hSet('records:h', { a: '1', b: '2' });
        assert.deepEqual({ ...(await client.hGetAll('records:h')) }, { a: '1', b: '2' });
        await assert.rejects(client.get('other:a'), /NOPERM/);
        assert.deepEqual(await client.multi().set('records:b', '1').get('records:b').exec(), [
          'OK',
          '1',
        ]);
        const subscriber = client.duplicate();
        await subscriber.connect();
        const heard = Promise.withResolvers<string>();
        await subscriber.subscribe('records:events', (message) => heard.resolve(message));
        await client.publish('records:events', 'now');
        assert.equal(await heard.promise, 'now');
        subscriber.destroy();
        client.destroy();
        assert.deepEqual(errors, []);
      });

    it('takes the token from a credentials provider', async () => {
      const { client } = nodeRedis({
        RESP: 3,
        username: undefined,
        password: undefined,
        credentialsProvider: {
          type: 'async-credentials-provider',
          credentials: async () => ({ username: 'default', password: await makeToken(scene) }),
        },
      });
      await client.connect();
      assert.equal(await client.get('records:secret'), 'known only to records');
      client.destroy();
    });

    it('renews the token on the live connection by a streaming provider', async () => {
      let push: ((credentials: { username: string; password: string }) => void) | undefined;
      const short = await makeToken(scene, { exp: seconds() + 2 });
      const { client, errors } = nodeRedis({
        RESP: 3,
        username: undefined,
        password: undefined,
        credentialsProvider: {
          type: 'streaming-credentials-provider',
          subscribe: async (listener: { onNext: typeof push }) => {
            push = (credentials) => listener.onNext?.(credentials);
            return [{ username: 'records', password: short }, { dispose: () => undefined }];
          },
          onReAuthenticationError: (error: Error) => errors.push(error),
        },
      });
      await client.connect();
      push?.({ username: 'records', password: await makeToken(scene) });
      await sleep(2500);
      assert.equal(await client.get('records:secret'), 'known only to records');
      client.destroy();
      assert.deepEqual(errors, []);
    });

    it('gets WRONGPASS, and is cut when its token ends', async () => {
      const wrong = nodeRedis({ password: await makeToken(scene, { service: 'inference' }) });
      await assert.rejects(wrong.client.connect(), /WRONGPASS/);
      const { client } = nodeRedis({ password: await makeToken(scene, { exp: seconds() + 2 }) });
      await client.connect();
      const ended = once(client, 'error');
      const blocked = client.blPop('records:nothing', 0).catch((error: Error) => error);
      const started = performance.now();
      await ended;
      assert.ok(performance.now() - started < 3000);
      assert.ok((await blocked) instanceof Error);
    });
  });

  describe('against attackers', () => {
    it('gives the right one its value, so that the refusals below mean something', async () => {
      assert.equal(await logIn(token), '+OK\r\n$21\r\nknown only to records\r\n');
    });

    it('refuses a stolen token without possession, and with a certificate of another key', async () => {
      assert.match(await logIn(token, null), refusal('possession'));
      assert.match(await logIn(token, await makeTlsKey('records')), refusal('possession'));
      // The certificate of the right one, without its key, does not come through the handshake.
      const { key } = await makeTlsKey('records');
      await assert.rejects(raw({ ...tlsOf(), key }));
    });

    it('refuses tokens of another service, another manifest, another time', async () => {
      assert.match(
        await logIn(await makeToken(scene, { service: 'inference' })),
        refusal('no_role'),
      );
      assert.match(
        await logIn(await makeToken(scene, { manifests: ['00'.repeat(32)] })),
        refusal('manifest_mismatch'),
      );
      const exp = seconds() - 60;
      assert.match(
        await logIn(await makeToken(scene, { iat: exp - 600, exp })),
        refusal('token_expired'),
      );
    });

    it('refuses two tokens that only together would do', async () => {
      const stranger = await makeTlsKey('inference');
      const possessed = await makeToken(scene, { service: 'inference', tls: stranger.spkiSha256 });
      const socket = await raw(tlsOf(stranger));
      socket.write(
        request('AUTH', possessed) +
          request('AUTH', token) +
          request('HELLO', '3', 'AUTH', 'records', possessed, 'AUTH', 'records', token) +
          request('AUTH', possessed, token) +
          request('GET', 'records:secret'),
      );
      const { text } = await hear(socket);
      socket.destroy();
      assert.ok(!text.includes('known only'));
      assert.equal(text.match(/^-(WRONGPASS|NOAUTH)/gm)?.length, 5);
    });

    it('does not do what was pipelined before the login', async () => {
      const socket = await raw();
      socket.write(
        request('SET', 'records:early', '1') +
          request('AUTH', token) +
          request('GET', 'records:early'),
      );
      const { text } = await hear(socket);
      socket.destroy();
      assert.equal(text, '-NOAUTH Authentication required.\r\n+OK\r\n$-1\r\n');
    });

    it('reads requests that are split at every byte', async () => {
      const socket = await raw();
      for (const byte of request('AUTH', token) +
        request('GET', 'records:secret') +
        request('CONFIG'))
        socket.write(byte);
      const { text } = await hear(socket, 1000);
      socket.destroy();
      assert.match(text, /^\+OK\r\n\$21\r\nknown only to records\r\n-NOPERM [^\r]*\r\n$/);
    });

    it('ends at inline commands, 64 MiB headers and garbage, logged in or not', async () => {
      for (const login of ['', request('AUTH', token)])
        for (const bytes of [
          'GET records:secret\r\n',
          '*2\r\n$3\r\nGET\r\n$67108864\r\n',
          '\0\u00ff',
          'GET / HTTP/1.1\r\n',
        ]) {
          const socket = await raw();
          socket.write(Buffer.from(login + bytes, 'latin1'));
          const { text, ended } = await hear(socket);
          assert.ok(ended, JSON.stringify(bytes));
          assert.match(text, /-ERR Protocol error: [^\r]*\r\n$/);
          assert.ok(!text.includes('known only'));
        }
    });

    it('speaks nothing but TLS 1.3', async () => {
      await assert.rejects(raw({ ...tlsOf(), minVersion: 'TLSv1.2', maxVersion: 'TLSv1.2' }));
      const plain = connectPlain(gate.listening.port, '127.0.0.1');
      plain.on('error', () => undefined);
      plain.write(request('AUTH', token) + request('GET', 'records:secret'));
      let text = '';
      plain.on('data', (chunk: Buffer) => {
        text += chunk.toString('latin1');
      });
      await once(plain, 'close');
      assert.ok(!text.includes('OK'));
    });

    it('holds what a slow reader does not take in Redis’ and TCP’s buffers, not in its own', async () => {
      const { client } = ioredis();
      await client.set('records:large', 'x'.repeat(4 << 20));
      const socket = await raw();
      socket.write(request('AUTH', token));
      await once(socket, 'data');
      socket.pause();
      const out = gate.stats.bytesOut;
      for (let i = 0; i < 50; i++) socket.write(request('GET', 'records:large'));
      await sleep(500);
      const taken = gate.stats.bytesOut - out;
      assert.ok(taken < 64 << 20, `${taken} bytes of 200 MiB were taken`);
      assert.equal(await client.get('records:secret'), 'known only to records');
      socket.destroy();
      client.disconnect();
    });
  });

  describe('by the heads of the hospital’s broker', () => {
    it('refuses a token that names no head, one that nobody knows, and an old one', async () => {
      const old = await makeHead(scene, { time: seconds() - 901 });
      for (const [heads, code] of [
        [[], 'heads_missing'],
        [['00'.repeat(32)], 'head_unknown'],
        [[await headHash(old)], 'head_unknown'],
      ] as const)
        assert.match(await logIn(await makeToken(scene, { heads })), refusal(code));
    });

    it('cuts whoever shows nothing newer for a lease, with ordinary clients as well', async () => {
      const other = await startGate(scene, redis);
      const tls = { ...tlsOf(), ca: other.serverTls.cert };
      const at = { port: other.listening.port, tls };
      const clients = [ioredis(at), ioredis(at)] as const;
      for (const { client } of clients)
        assert.equal(await client.get('records:secret'), 'known only to records');
      // A later head of the broker; one of the clients shows that it has heard of it.
      const now = () => Date.now() + other.ahead;
      const later = await makeHead(scene, { time: seconds() + 600, logSize: 5 });
      other.ahead = 600_000;
      other.judgeHeads = await judgeBy(scene.manifest, [scene.head, later], now);
      const newer = await makeToken(scene, { heads: [await headHash(later)] });
      assert.equal(await clients[1].client.call('AUTH', newer), 'OK');
      const ended = once(clients[0].client, 'close');
      other.ahead = 901_000;
      await ended;
      assert.equal(await clients[1].client.get('records:secret'), 'known only to records');
      assert.equal(other.stats.events.get('cut lease'), 1);
      const { client: again, errors } = ioredis(at);
      await assert.rejects(again.get('records:secret'));
      assert.match(String(errors[0]), /WRONGPASS .* head_too_old/);
      clients[1].client.disconnect();
      await other.stop();
    });

    it('admits nobody when its own are too old, says so, and has nobody left after a lease', async () => {
      const other = await startGate(scene, redis);
      const tls = { ...tlsOf(), ca: other.serverTls.cert };
      const at = { port: other.listening.port, tls };
      const { client } = ioredis(at);
      assert.equal(await client.get('records:secret'), 'known only to records');
      const ended = once(client, 'close');
      other.ahead = 901_000;
      const now = () => Date.now() + other.ahead;
      other.judgeHeads = await judgeBy(scene.manifest, [scene.head], now);
      await ended;
      const { client: again, errors } = ioredis(at);
      await assert.rejects(again.get('records:secret'));
      assert.match(String(errors[0]), /WRONGPASS .* gate_head_too_old/);
      const node = nodeRedis({ password: token }, { ...tls, port: other.listening.port });
      await assert.rejects(node.client.connect(), /WRONGPASS .* gate_head_too_old/);
      await other.stop();
    });
  });

  describe('when the manifest changes', () => {
    it('cuts a revoked service at once, and lets it in no more', async () => {
      const other = await startGate(scene, redis);
      const tls = { ...tlsOf(), ca: other.serverTls.cert };
      const { client } = ioredis({ port: other.listening.port, tls });
      assert.equal(await client.get('records:secret'), 'known only to records');
      const draft: JsonObject = {
        ...scene.draft,
        serial: 2,
        previous: scene.manifest.id,
        cache: { roles: { reader: '~records:public:* +@read' } },
      };
      const { manifest } = await trust(scene.parties, draft, scene.manifest);
      const ended = once(client, 'close');
      const until = new Date(Date.now() + 900_000);
      const bridge = { manifestId: scene.manifest.id, until };
      other.trust = { agreement: { trust: manifest, bridge }, roles: rolesOf(manifest) };
      other.gate.recheck((admission) => judgeAgain(other.trust, admission, Date.now()));
      await ended;
      const { client: again, errors } = ioredis({ port: other.listening.port, tls });
      await assert.rejects(again.get('records:secret'));
      assert.match(String(errors[0]), /WRONGPASS .* no_role/);
      await other.stop();
    });
  });
});
