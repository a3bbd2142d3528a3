import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { encodeRequest } from '../resp/encode.ts';
import { createStage, settle, START } from './stage.test.ts';

const text = (...args: string[]): string => encodeRequest(args).toString('latin1');
const NOAUTH = '-NOAUTH Authentication required.\r\n';
const DENIED = "-NOPERM this user has no permissions to run the 'config' command\r\n";
const KEY = '-NOPERM this user has no permissions to access one of the keys used as arguments\r\n';

const confirmed = (kind: string, channel: string, n: number): string =>
  `*3\r\n$${kind.length}\r\n${kind}\r\n$${channel.length}\r\n${channel}\r\n:${n}\r\n`;

describe('before the login', () => {
  it('refuses everything but AUTH, HELLO and QUIT, and does it not later either', async () => {
    const stage = createStage();
    stage.client.write(['SET', 'r:a', '1'], ['PING'], ['INFO'], ['AUTH', 't'], ['GET', 'r:a']);
    await settle();
    assert.equal(stage.client.read(), NOAUTH.repeat(3));
    await stage.judge();
    assert.equal(stage.client.read(), '+OK\r\n');
    assert.equal(stage.redis().read(), text('GET', 'r:a'));
  });

  it('takes token and user from AUTH and HELLO', async () => {
    const stage = createStage();
    stage.client.write(['HELLO', '3', 'AUTH', 'records', 'token', 'SETNAME', 'x']);
    await settle();
    assert.deepEqual(stage.logins, [{ user: 'records', token: 'token' }]);
    await stage.judge({ refuse: 'token_expired' });
    assert.equal(stage.client.read(), '-WRONGPASS the token is not accepted: token_expired\r\n');
    stage.client.write(['AUTH', 'other']);
    await settle();
    assert.deepEqual(stage.logins[1], { user: undefined, token: 'other' });
    await stage.judge();
    assert.equal(stage.client.read(), '+OK\r\n');
  });

  it('answers HELLO in the protocol that it asks for', async () => {
    const stage = createStage();
    stage.client.write(['HELLO'], ['HELLO', '3'], ['HELLO', '4', 'AUTH', 'a', 'b']);
    await settle();
    assert.match(stage.client.read(), /^-NOAUTH HELLO .*\r\n-NOAUTH HELLO .*\r\n-NOPROTO .*\r\n$/);
    stage.client.write(['HELLO', '3', 'AUTH', 'default', 't']);
    await settle();
    await stage.judge();
    assert.match(stage.client.read(), /^%7\r\n\$6\r\nserver\r\n\$5\r\nredis\r\n.*proto\r\n:3\r\n/s);
  });

  it('ends after eight strikes, after ten seconds, and with too large a request', async () => {
    const many = createStage();
    for (let i = 0; i < 9; i++) many.client.write(['PING']);
    await settle();
    assert.equal(many.client.read(), NOAUTH.repeat(8));
    assert.ok(many.client.isEnded());
    const late = createStage();
    late.now = START + 10_001;
    late.gate.sweep();
    await settle();
    assert.ok(late.client.isEnded());
    assert.equal(late.stats.events.get('cut login_timeout'), 1);
    const large = createStage();
    large.client.write('*2\r\n$4\r\nAUTH\r\n$40000\r\n');
    await settle();
    assert.equal(large.client.read(), '-ERR Protocol error: request: bulk string\r\n');
    assert.ok(large.client.isEnded());
  });

  it('refuses inline commands', async () => {
    const stage = createStage();
    stage.client.write('AUTH token\r\n');
    await settle();
    assert.equal(stage.client.read(), '-ERR Protocol error: request: no array of bulk strings\r\n');
    assert.ok(stage.client.isEnded());
    assert.deepEqual(stage.logins, []);
  });

  it('reads nothing on while a token is judged', async () => {
    const stage = createStage();
    stage.client.write(['AUTH', 't'], ['AUTH', 'u'], ['PING']);
    await settle();
    assert.equal(stage.logins.length, 1);
    await stage.judge({ refuse: 'no' });
    assert.equal(stage.logins.length, 2);
  });

  it('says that Redis is away, and ends', async () => {
    const stage = createStage({}, { openFails: true });
    stage.client.write(['AUTH', 't']);
    await settle();
    await stage.judge();
    assert.equal(stage.client.read(), '-ERR the cache cannot be reached\r\n');
    assert.ok(stage.client.isEnded());
  });

  it('does not open anything for a client that has gone meanwhile', async () => {
    const stage = createStage();
    stage.client.write(['AUTH', 't']);
    await settle();
    stage.client.stream.destroy();
    await settle();
    await stage.judge();
    assert.deepEqual(stage.gate.connections(), { fresh: 0, open: 0 });
  });

  it('takes so many connections and no more', async () => {
    const stage = createStage({ connections: 1 });
    const other = createStage();
    stage.gate.accept(other.client.stream, undefined);
    await settle();
    assert.equal(stage.stats.events.get('login too_many_connections'), 1);
  });
});

describe('the order of answers', () => {
  it('puts its own where their requests were', async () => {
    const stage = createStage();
    await stage.logIn();
    stage.client.write(
      ['GET', 'r:a'],
      ['CONFIG', 'GET', '*'],
      ['GET', 'x'],
      ['GET', 'r:b'],
      ['SELECT', '1'],
    );
    await settle();
    assert.equal(stage.redis().read(), text('GET', 'r:a') + text('GET', 'r:b'));
    assert.equal(stage.client.read(), '');
    stage.redis().write('$1\r\na\r\n$1\r\n');
    await settle();
    assert.equal(stage.client.read(), `$1\r\na\r\n${DENIED}${KEY}$1\r\n`);
    stage.redis().write('b\r\n');
    await settle();
    assert.equal(stage.client.read(), 'b\r\n-ERR there is one database: 0\r\n');
  });

  it('keeps it wherever replies are split', async () => {
    const replies = '*2\r\n$1\r\na\r\n$-1\r\n+OK\r\n$3\r\n\r\n-\r\n';
    const expected = replies.replace('+OK\r\n', `+OK\r\n${DENIED}`);
    for (let at = 0; at <= replies.length; at++) {
      const stage = createStage();
      await stage.logIn();
      stage.client.write(['MGET', 'r:a', 'r:b'], ['SET', 'r:a', '1'], ['CONFIG'], ['GET', 'r:c']);
      await settle();
      stage.redis().write(replies.slice(0, at));
      await settle();
      stage.redis().write(replies.slice(at));
      await settle();
      assert.equal(stage.client.read(), expected);
    }
  });

  it('answers CLIENT, INFO, SELECT and PING of every session', async () => {
    const stage = createStage();
    await stage.logIn();
    stage.client.write(
      ['CLIENT', 'SETINFO', 'LIB-NAME', 'x'],
      ['CLIENT', 'GETNAME'],
      ['CLIENT', 'SETNAME', 'me'],
      ['CLIENT', 'GETNAME'],
      ['CLIENT', 'ID'],
      ['SELECT', '0'],
    );
    await settle();
    assert.equal(stage.client.read(), '+OK\r\n$-1\r\n+OK\r\n$2\r\nme\r\n:1\r\n+OK\r\n');
    for (const sub of ['KILL', 'LIST', 'REPLY', 'TRACKING', 'NO-EVICT', 'PAUSE']) {
      stage.client.write(['CLIENT', sub, 'ON']);
      await settle();
      assert.match(stage.client.read(), /^-NOPERM .*'client' command\r\n$/);
    }
    stage.client.write(['INFO'], ['CLIENT', 'SETNAME', 'a b']);
    await settle();
    assert.match(stage.client.read(), /redis_version:7\.0\.15\r\n.*loading:0.*-ERR syntax error/s);
    assert.equal(stage.redis().read(), '');
  });

  it('ends where Redis says what nobody asked for', async () => {
    for (const reply of ['+OK\r\n', 'x', '-ERR max number of clients reached\r\n']) {
      const stage = createStage();
      await stage.logIn();
      stage.redis().write(reply);
      await settle();
      assert.ok(stage.client.isEnded());
      assert.equal(stage.stats.events.get('cut upstream_confused'), 1);
    }
  });

  it('changes the protocol on a live connection without showing what Redis says of itself', async () => {
    const stage = createStage();
    await stage.logIn();
    stage.client.write(['GET', 'r:a'], ['HELLO', '3'], ['GET', 'r:b']);
    await settle();
    assert.equal(
      stage.redis().read(),
      text('GET', 'r:a') + text('HELLO', '3') + text('GET', 'r:b'),
    );
    const secret = '%1\r\n+secret\r\n+x\r\n';
    for (const byte of `+a\r\n${secret}_\r\n`) {
      stage.redis().write(byte);
      await settle();
    }
    assert.match(stage.client.read(), /^\+a\r\n%7\r\n[^]*modules\r\n\*0\r\n_\r\n$/);
  });
});

describe('transactions', () => {
  it('go through', async () => {
    const stage = createStage();
    await stage.logIn();
    stage.client.write(['MULTI'], ['SET', 'r:a', '1'], ['EXEC'], ['EXEC']);
    await settle();
    const sent = text('MULTI') + text('SET', 'r:a', '1') + text('EXEC') + text('EXEC');
    assert.equal(stage.redis().read(), sent);
  });

  it('are not executed when a part of them was refused', async () => {
    const stage = createStage();
    await stage.logIn();
    stage.client.write(
      ['MULTI'],
      ['SET', 'r:a', '1'],
      ['SET', 'x', '1'],
      ['AUTH', 't'],
      ['EXEC'],
      ['GET', 'r:a'],
    );
    await settle();
    assert.equal(
      stage.redis().read(),
      text('MULTI') + text('SET', 'r:a', '1') + text('DISCARD') + text('GET', 'r:a'),
    );
    stage.redis().write('+OK\r\n+QUEUED\r\n+OK\r\n$-1\r\n');
    await settle();
    assert.equal(
      stage.client.read(),
      `+OK\r\n+QUEUED\r\n${KEY}-ERR not possible in a transaction\r\n` +
        '-EXECABORT Transaction discarded because of previous errors.\r\n$-1\r\n',
    );
    assert.equal(stage.logins.length, 1);
  });
});

describe('subscriptions', () => {
  const message = '*3\r\n$7\r\nmessage\r\n$3\r\nr:a\r\n$1\r\nx\r\n';

  it('of RESP2 keep their confirmations, messages and refusals apart', async () => {
    const stage = createStage();
    await stage.logIn();
    stage.client.write(['SUBSCRIBE', 'r:a', 'r:b'], ['SUBSCRIBE', 'x'], ['GET', 'r:a'], ['PING']);
    await settle();
    assert.equal(stage.redis().read(), text('SUBSCRIBE', 'r:a', 'r:b') + text('PING'));
    const pong = '*2\r\n$4\r\npong\r\n$0\r\n\r\n';
    stage
      .redis()
      .write(
        confirmed('subscribe', 'r:a', 1),
        message,
        confirmed('subscribe', 'r:b', 2),
        message,
        pong,
        message,
      );
    await settle();
    const answers = stage.client.read();
    assert.ok(answers.startsWith(confirmed('subscribe', 'r:a', 1) + message));
    assert.match(answers, /:2\r\n-NOPERM .*channels.*\r\n-ERR only [^]*message[^]*pong[^]*message/);
    stage.client.write(['UNSUBSCRIBE'], ['LRANGE', 'r:a', '0', '-1'], ['CONFIG']);
    await settle();
    // A list that looks like a message is a reply again, once all is unsubscribed.
    stage
      .redis()
      .write(
        confirmed('unsubscribe', 'r:a', 1),
        message,
        confirmed('unsubscribe', 'r:b', 0),
        message,
      );
    await settle();
    assert.equal(
      stage.client.read(),
      confirmed('unsubscribe', 'r:a', 1) +
        message +
        confirmed('unsubscribe', 'r:b', 0) +
        message +
        DENIED,
    );
  });

  it('of RESP3 go with other commands, and no answer of the gate gets into a message', async () => {
    const stage = createStage();
    await stage.logIn(3);
    const push = message.replace('*', '>');
    stage.client.write(['SUBSCRIBE', 'r:a'], ['GET', 'r:a']);
    await settle();
    stage
      .redis()
      .write(confirmed('subscribe', 'r:a', 1).replace('*', '>'), push, '_\r\n', push.slice(0, 20));
    await settle();
    stage.client.read();
    stage.client.write(['CONFIG']);
    await settle();
    assert.equal(stage.client.read(), '');
    stage.redis().write(push.slice(20));
    await settle();
    assert.equal(stage.client.read(), push.slice(20) + DENIED);
  });

  it('are limited, and not possible in a transaction', async () => {
    const stage = createStage({ subscriptions: 2 });
    await stage.logIn();
    stage.client.write(['SUBSCRIBE', 'r:a', 'r:b', 'r:c']);
    await settle();
    assert.equal(stage.client.read(), '-ERR too many subscriptions\r\n');
    stage.client.write(['MULTI'], ['SUBSCRIBE', 'r:a']);
    await settle();
    stage.redis().write('+OK\r\n');
    await settle();
    assert.equal(stage.client.read(), '+OK\r\n-ERR not possible in a transaction\r\n');
  });

  it('end with the connection where Redis refuses what the gate allowed', async () => {
    const stage = createStage();
    await stage.logIn();
    stage.client.write(['SUBSCRIBE', 'r:a']);
    await settle();
    stage.redis().write('-NOPERM no\r\n');
    await settle();
    assert.ok(stage.client.isEnded());
  });
});
