import assert from 'node:assert/strict';
import { duplexPair, type Duplex } from 'node:stream';
import { describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { createRedisLink, type RedisLinkOptions } from './redis-link.ts';

/** A gate that answers every request with what `answer` says; requests as one line each. */
function setUp(
  answer: (request: string) => string | undefined,
  options: Partial<RedisLinkOptions> = {},
) {
  const requests: string[] = [];
  const sockets: Duplex[] = [];
  const lost: unknown[] = [];
  const link = createRedisLink({
    connect: async () => {
      const [near, far] = duplexPair();
      sockets.push(far);
      let text = '';
      far.on('data', (chunk: Buffer) => {
        text += chunk.toString('latin1');
        for (;;) {
          const found = /^\*(\d+)\r\n/.exec(text);
          const parts = text.split('\r\n');
          const count = 1 + 2 * Number(found?.[1] ?? 0);
          if (found === null || parts.length <= count) return;
          const request = parts
            .slice(1, count)
            .filter((_, i) => i % 2 === 1)
            .join(' ');
          text = parts.slice(count).join('\r\n');
          requests.push(request);
          const reply = answer(request);
          if (reply !== undefined) far.write(reply);
        }
      });
      far.on('error', () => undefined);
      return near;
    },
    token: async () => 'token1',
    onLost: (error) => lost.push(error),
    ...options,
  });
  return { link, requests, sockets, lost };
}

const pushed = (kind: string, channel: string, last: string): string =>
  `>3\r\n$${kind.length}\r\n${kind}\r\n$${channel.length}\r\n${channel}\r\n${last}`;
const usual = (request: string): string => {
  const [command = '', channel = ''] = request.split(' ');
  if (command === 'HELLO') return '%0\r\n';
  return command.endsWith('SUBSCRIBE')
    ? pushed(command.toLowerCase(), channel, ':1\r\n')
    : '+OK\r\n';
};

/** Waits until something is so; the test runner ends what waits for ever. */
async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await sleep(5);
}

describe('createRedisLink', () => {
  it('logs in with the token when it is first needed, and once', async () => {
    const { link, requests, sockets } = setUp(usual);
    assert.deepEqual(sockets, []);
    assert.deepEqual(await Promise.all([link.send(['PING']), link.send(['PING'])]), ['OK', 'OK']);
    assert.deepEqual(requests, ['HELLO 3 AUTH default token1', 'PING', 'PING']);
    await link.close();
    await assert.rejects(link.send(['PING']), { code: 'shutting_down' });
  });

  it('renews the token on the live connection, when there is a newer one', async () => {
    let n = 1;
    const { link, requests } = setUp(usual, { renewMs: 20, token: async () => `token${n}` });
    await link.send(['PING']);
    await sleep(50);
    n = 2;
    await sleep(60);
    assert.deepEqual(requests, ['HELLO 3 AUTH default token1', 'PING', 'AUTH token2']);
    await link.close();
  });

  it('is unavailable for a while after a refusal, then tries again', async () => {
    let refuse = true;
    const { link, requests, lost } = setUp((request) =>
      refuse ? '-WRONGPASS no\r\n' : usual(request),
    );
    await assert.rejects(link.send(['PING']), { name: 'UnavailableError' });
    await assert.rejects(link.send(['PING']), { name: 'UnavailableError' });
    assert.equal(requests.length, 1);
    assert.equal(lost.length, 1);
    refuse = false;
    await sleep(520);
    assert.equal(await link.send(['PING']), 'OK');
    await link.close();
  });

  it('lets commands fail that were under way when the connection was lost', async () => {
    const { link, sockets } = setUp((request) =>
      request === 'GET k' ? undefined : usual(request),
    );
    await link.send(['PING']);
    const pending = link.send(['GET', 'k']);
    setTimeout(() => sockets[0]?.destroy(), 10);
    await assert.rejects(pending, { name: 'UnavailableError', code: 'unreachable' });
    await link.close();
  });

  it('gives up a connection that does not answer', async () => {
    const { link } = setUp((request) => (request === 'GET k' ? undefined : usual(request)), {
      timeoutMs: 40,
    });
    await assert.rejects(link.send(['GET', 'k']), { code: 'timeout' });
    await link.close();
  });

  it('hears channels, and hears them again by itself on the next connection', async () => {
    const { link, requests, sockets } = setUp(usual);
    const heard: string[] = [];
    const stop = await link.subscribe('c', (message) => heard.push(String(message)));
    sockets[0]?.write(
      pushed('message', 'c', '$1\r\n1\r\n') + pushed('message', 'd', '$1\r\nx\r\n'),
    );
    await until(() => heard.length === 1);
    sockets[0]?.destroy();
    await until(() => sockets.length === 2 && requests.at(-1) === 'SUBSCRIBE c');
    sockets[1]?.write(pushed('message', 'c', '$1\r\n2\r\n'));
    await until(() => heard.length === 2);
    assert.deepEqual(heard, ['1', '2']);
    await stop();
    assert.equal(requests.at(-1), 'UNSUBSCRIBE c');
    await link.close();
  });

  it('refuses a channel that its role is not given', async () => {
    const { link } = setUp((request) =>
      request.startsWith('SUBSCRIBE') ? '-NOPERM no\r\n' : usual(request),
    );
    await link.send(['PING']);
    await assert.rejects(
      link.subscribe('c', () => undefined),
      { name: 'RespError', code: 'NOPERM' },
    );
    await link.close();
  });
});
