import assert from 'node:assert/strict';
import { duplexPair } from 'node:stream';
import { describe, it } from 'node:test';
import { encodeRequest } from '../resp/encode.ts';
import { createStage, endOf, settle, START, type End, type Stage } from './stage.test.ts';

const text = (...args: string[]): string => encodeRequest(args).toString('latin1');

/** A stage with as many clients as wanted, all logged in. */
async function setUp(
  count: number,
  limits: Parameters<typeof createStage>[0] = {},
  highWaterMark?: number,
): Promise<{ stage: Stage; clients: End[] }> {
  const stage = createStage(
    { shared: 4, ...limits },
    highWaterMark === undefined ? {} : { highWaterMark },
  );
  const clients = [stage.client];
  await stage.logIn();
  while (clients.length < count) {
    const [near, far] = duplexPair(highWaterMark === undefined ? {} : { highWaterMark });
    stage.gate.accept(near, 'aa');
    const client = endOf(far);
    client.write(['AUTH', 't']);
    await settle();
    await stage.judge();
    client.read();
    clients.push(client);
  }
  return { stage, clients };
}

describe('clients that share a connection to Redis', () => {
  it('get their own replies, wherever those are split', async () => {
    const replies = ['$1\r\na\r\n', '*2\r\n$1\r\nb\r\n$-1\r\n', '$1\r\nc\r\n'];
    const all = replies.join('');
    for (let at = 0; at <= all.length; at++) {
      const { stage, clients } = await setUp(3);
      for (const [i, client] of clients.entries()) client.write(['GET', `r:${i}`]);
      await settle();
      assert.equal(stage.connections.length, 1);
      assert.equal(stage.redis().read(), [0, 1, 2].map((i) => text('GET', `r:${i}`)).join(''));
      stage.redis().write(all.slice(0, at));
      await settle();
      stage.redis().write(all.slice(at));
      await settle();
      assert.deepEqual(
        clients.map((client) => client.read()),
        replies,
      );
    }
  });

  it('get refusals in their order as well', async () => {
    const { stage, clients } = await setUp(2);
    const [one, two] = clients;
    one?.write(['GET', 'r:a'], ['GET', 'x'], ['GET', 'r:b']);
    two?.write(['GET', 'r:c']);
    await settle();
    stage.redis().write('+1\r\n+2\r\n+3\r\n');
    await settle();
    assert.match(one?.read() ?? '', /^\+1\r\n-NOPERM [^\r]*\r\n\+2\r\n$/);
    assert.equal(two?.read(), '+3\r\n');
  });

  it('lose nothing when one of them goes in the middle of its reply', async () => {
    const { stage, clients } = await setUp(2);
    const [one, two] = clients;
    one?.write(['GET', 'r:secret'], ['GET', 'r:secret']);
    two?.write(['GET', 'r:b']);
    await settle();
    stage.redis().write('$6\r\nsec');
    await settle();
    one?.stream.destroy();
    await settle();
    stage.redis().write('ret\r\n$6\r\nsecret\r\n$1\r\nb\r\n');
    await settle();
    assert.equal(two?.read(), '$1\r\nb\r\n');
    assert.ok(two !== undefined && !two.isEnded());
  });

  it('share with nobody of another role or protocol', async () => {
    const stage = createStage({ shared: 4 });
    await stage.logIn();
    for (const verdict of [{ role: 'reader' }, { rules: '~r:* +get' }]) {
      const [near, far] = duplexPair();
      stage.gate.accept(near, 'aa');
      endOf(far).write(['AUTH', 't']);
      await settle();
      await stage.judge(verdict);
    }
    assert.equal(stage.connections.length, 3);
    const [near, far] = duplexPair();
    stage.gate.accept(near, 'aa');
    endOf(far).write(['HELLO', '3', 'AUTH', 'default', 't']);
    await settle();
    await stage.judge();
    assert.equal(stage.connections.length, 4);
  });

  it('all end when Redis says what nobody asked for, or goes', async () => {
    for (const reply of ['+OK\r\n', '>2\r\n$7\r\nmessage\r\n+x\r\n', 'x', undefined]) {
      const { stage, clients } = await setUp(2);
      if (reply === undefined) stage.redis().stream.destroy();
      else stage.redis().write(reply);
      await settle();
      assert.ok(clients.every((client) => client.isEnded()));
      assert.equal(stage.stats.events.get('cut upstream_lost'), 2);
    }
  });

  it('leave no connection behind', async () => {
    const { stage, clients } = await setUp(2);
    for (const client of clients) client.stream.destroy();
    await settle();
    assert.ok(stage.redis().isEnded());
  });

  it('get a new one when the old one was lost', async () => {
    const { stage } = await setUp(1);
    stage.redis().stream.destroy();
    await settle();
    const [near, far] = duplexPair();
    stage.gate.accept(near, 'aa');
    const client = endOf(far);
    client.write(['AUTH', 't'], ['GET', 'r:a']);
    await settle();
    await stage.judge();
    assert.equal(client.read(), '+OK\r\n');
    assert.equal(stage.redis().read(), text('GET', 'r:a'));
  });
});

describe('a client gets a connection of its own', () => {
  const requests: readonly (readonly string[])[] = [
    ['MULTI'],
    ['WATCH', 'r:a'],
    ['SUBSCRIBE', 'r:a'],
    ['BLPOP', 'r:a', '0'],
    ['SET', 'r:a', 'x'.repeat(70_000)],
  ];
  for (const request of requests)
    it(`for ${request[0] ?? ''} of ${request.join('').length} bytes, after all that is due`, async () => {
      const { stage, clients } = await setUp(2);
      const [one, two] = clients;
      const [shared] = stage.connections;
      one?.write(['GET', 'r:a'], request, ['PING']);
      two?.write(['GET', 'r:b']);
      await settle();
      assert.equal(stage.connections.length, 1);
      assert.equal(shared?.read(), text('GET', 'r:a') + text('GET', 'r:b'));
      shared?.write('+1\r\n+2\r\n');
      await settle();
      await settle();
      assert.equal(stage.connections.length, 2);
      assert.equal(stage.redis().read(), text(...request) + text('PING'));
      assert.equal(one?.read(), '+1\r\n');
      assert.equal(two?.read(), '+2\r\n');
      two?.write(['GET', 'r:c']);
      await settle();
      assert.equal(shared?.read(), text('GET', 'r:c'));
    });

  it('for more requests at once than may be shared', async () => {
    const { stage, clients } = await setUp(1);
    for (let i = 0; i < 6; i++) clients[0]?.write(['GET', `r:${i}`]);
    await settle();
    const sent = [0, 1, 2, 3].map((i) => text('GET', `r:${i}`)).join('');
    const [shared] = stage.connections;
    assert.equal(shared?.read(), sent);
    shared?.write('+x\r\n'.repeat(4));
    await settle();
    await settle();
    assert.equal(stage.redis().read(), text('GET', 'r:4') + text('GET', 'r:5'));
  });

  it('for another protocol, in which it is opened', async () => {
    const { stage, clients } = await setUp(1);
    clients[0]?.write(['GET', 'r:a'], ['HELLO', '3'], ['GET', 'r:b']);
    await settle();
    stage.redis().write('+a\r\n');
    await settle();
    await settle();
    assert.equal(stage.connections.length, 2);
    assert.equal(stage.redis().read(), text('HELLO', '3') + text('GET', 'r:b'));
  });

  it('when it does not read, and others go on', async () => {
    const { stage, clients } = await setUp(2, {}, 1024);
    const [slow, other] = clients;
    const big = `$5000\r\n${'v'.repeat(5000)}\r\n`;
    slow?.stream.pause();
    slow?.write(['GET', 'r:a'], ['GET', 'r:a']);
    other?.write(['GET', 'r:b']);
    await settle();
    const [shared] = stage.connections;
    shared?.write(big, big, '+b\r\n');
    for (let i = 0; i < 20; i++) await settle();
    assert.equal(other?.read(), '+b\r\n');
    assert.equal(stage.connections.length, 2);
    slow?.stream.resume();
    slow?.write(['GET', 'r:c']);
    for (let i = 0; i < 20; i++) await settle();
    assert.equal(slow?.read(), big + big);
    assert.equal(stage.redis().read(), text('GET', 'r:c'));
  });

  it('unless its token ends first', async () => {
    const { stage, clients } = await setUp(1);
    clients[0]?.write(['GET', 'r:a'], ['MULTI']);
    await settle();
    stage.now = START + 60_000;
    stage.gate.sweep();
    await settle();
    assert.ok(clients[0]?.isEnded());
    assert.equal(stage.connections.length, 1);
    assert.ok(stage.connections[0]?.isEnded());
  });
});
