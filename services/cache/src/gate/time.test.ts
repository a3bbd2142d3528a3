import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { encodeRequest } from '../resp/encode.ts';
import { createStage, RULES, settle, START } from './stage.test.ts';

const text = (...args: string[]): string => encodeRequest(args).toString('latin1');
const EXPIRED = '-NOAUTH the token has expired\r\n';

describe('the end of a token', () => {
  it('cuts a connection that waits for nothing, without a word that it did not ask for', async () => {
    const stage = createStage();
    await stage.logIn();
    stage.now = START + 59_999;
    stage.gate.sweep();
    await settle();
    assert.ok(!stage.client.isEnded());
    stage.now = START + 60_000;
    stage.gate.sweep();
    await settle();
    assert.equal(stage.client.read(), '');
    assert.ok(stage.client.isEnded());
    assert.equal(stage.stats.events.get('cut expired'), 1);
  });

  it('cuts one that waits for a reply, which it does not get', async () => {
    const stage = createStage();
    await stage.logIn();
    stage.client.write(['GET', 'r:a']);
    await settle();
    const redis = stage.redis();
    stage.now = START + 60_000;
    stage.gate.sweep();
    await settle();
    assert.ok(stage.client.isEnded() && redis.isEnded());
    assert.equal(stage.client.read(), '');
  });

  it('refuses the second of two commands in one segment, when it comes after the end', async () => {
    const stage = createStage();
    await stage.logIn();
    let asked = 0;
    Object.defineProperty(stage, 'now', {
      get: () => {
        asked += 1;
        // The clock is asked when the segment comes, then once for each command.
        return asked <= 2 ? START : START + 60_000;
      },
    });
    stage.client.write(['SET', 'r:a', '1'], ['SET', 'r:b', '2'], ['SET', 'r:c', '3']);
    await settle();
    assert.equal(stage.redis().read(), text('SET', 'r:a', '1'));
    stage.redis().write('+OK\r\n');
    await settle();
    assert.equal(stage.client.read(), `+OK\r\n${EXPIRED}`);
    assert.ok(stage.client.isEnded());
  });

  it('is put off by a new token on the live connection, and only by a good one', async () => {
    const stage = createStage();
    await stage.logIn();
    stage.client.write(['AUTH', 'new'], ['GET', 'r:a']);
    await settle();
    assert.equal(stage.redis().read(), '');
    await stage.judge({ expires: START + 120_000 });
    assert.equal(stage.client.read(), '+OK\r\n');
    assert.equal(stage.redis().read(), text('GET', 'r:a'));
    stage.redis().write('$-1\r\n');
    await settle();
    stage.client.read();
    stage.now = START + 60_000;
    stage.gate.sweep();
    stage.client.write(['HELLO', '2', 'AUTH', 'default', 'bad']);
    await settle();
    await stage.judge({ refuse: 'possession' });
    assert.equal(stage.client.read(), '-WRONGPASS the token is not accepted: possession\r\n');
    stage.client.write(['GET', 'r:b']);
    await settle();
    assert.equal(stage.redis().read(), text('GET', 'r:b'));
    stage.redis().write('$-1\r\n');
    await settle();
    stage.client.read();
    stage.now = START + 120_000;
    stage.client.write(['GET', 'r:c']);
    await settle();
    assert.equal(stage.client.read(), EXPIRED);
    assert.ok(stage.client.isEnded());
  });

  it('is told by what it is: the token, the lease, the manifest before', async () => {
    for (const [ending, words] of [
      ['expired', 'the token has expired'],
      ['lease', 'the token is older than the lease'],
      ['manifest', 'the token names a manifest that is no longer in force'],
    ] as const) {
      const stage = createStage();
      stage.client.write(['AUTH', 't']);
      await settle();
      await stage.judge({ ending });
      stage.client.read();
      stage.now = START + 60_000;
      stage.client.write(['GET', 'r:a']);
      await settle();
      assert.equal(stage.client.read(), `-NOAUTH ${words}\r\n`);
      assert.ok(stage.client.isEnded());
      assert.equal(stage.stats.events.get(`cut ${ending}`), 1);
    }
  });

  it('comes while a new token is judged as well', async () => {
    const stage = createStage();
    await stage.logIn();
    stage.client.write(['AUTH', 'slow']);
    await settle();
    stage.now = START + 60_000;
    stage.gate.sweep();
    await settle();
    assert.ok(stage.client.isEnded());
    await stage.judge();
    stage.now += 1001;
    stage.gate.sweep();
    await settle();
    assert.deepEqual(stage.gate.connections(), { fresh: 0, open: 0 });
  });

  it('keeps the role that a connection has', async () => {
    const stage = createStage();
    await stage.logIn();
    stage.client.write(['AUTH', 'other']);
    await settle();
    await stage.judge({ role: 'reader', rules: '~* +@all' });
    assert.equal(stage.client.read(), '-WRONGPASS a connection keeps its role\r\n');
    stage.client.write(['GET', 'x']);
    await settle();
    assert.match(stage.client.read(), /^-NOPERM/);
  });
});

describe('another manifest', () => {
  it('cuts at once those whom it does not admit, and lets others end sooner', async () => {
    const stage = createStage();
    await stage.logIn();
    stage.gate.recheck(() => ({ expires: START + 30_000, ending: 'manifest' }));
    stage.now = START + 29_999;
    stage.gate.sweep();
    await settle();
    assert.ok(!stage.client.isEnded());
    stage.now = START + 30_000;
    stage.gate.sweep();
    await settle();
    assert.ok(stage.client.isEnded());
    assert.equal(stage.stats.events.get('cut manifest'), 1);
    const other = createStage();
    await other.logIn();
    other.gate.recheck((admission) => (admission.role.rules === RULES ? undefined : admission));
    await settle();
    assert.ok(other.client.isEnded() && other.redis().isEnded());
    assert.equal(other.stats.events.get('cut manifest'), 1);
  });
});

describe('slow sides', () => {
  const big = 'v'.repeat(40_000);

  it('are waited for: what a client does not read is not fetched', async () => {
    const stage = createStage({}, { highWaterMark: 16_384 });
    await stage.logIn();
    stage.client.stream.pause();
    for (let i = 0; i < 20; i++) stage.client.write(['GET', `r:${i}`]);
    await settle();
    let taken = 0;
    for (; taken < 20; taken++) {
      const before = stage.stats.bytesOut;
      if (!stage.redis().stream.write(`$${big.length}\r\n${big}\r\n`)) await settle();
      if (stage.stats.bytesOut === before) break;
    }
    assert.ok(taken < 10, `${taken} replies were taken`);
    const asked = stage.stats.requests;
    stage.client.write(['GET', 'r:x']);
    await settle();
    assert.equal(stage.stats.requests, asked);
    stage.now = START + 30_001;
    stage.gate.sweep();
    await settle();
    assert.equal(stage.stats.events.get('cut slow_reader'), 1);
  });

  it('get everything when they read on', async () => {
    const stage = createStage({}, { highWaterMark: 1024 });
    await stage.logIn();
    stage.client.stream.pause();
    for (let i = 0; i < 10; i++) stage.client.write(['GET', `r:${i}`]);
    await settle();
    for (let i = 0; i < 10; i++) stage.redis().write(`$${big.length}\r\n${big}\r\n`);
    await settle();
    stage.client.stream.resume();
    let got = '';
    for (let i = 0; i < 200; i++) {
      await settle();
      got += stage.client.read();
    }
    assert.equal(got, `$${big.length}\r\n${big}\r\n`.repeat(10));
  });

  it('of Redis are waited for, and given up', async () => {
    const stage = createStage({}, { highWaterMark: 1024 });
    await stage.logIn();
    stage.redis().stream.pause();
    stage.client.write(['SET', 'r:a', big]);
    for (let i = 0; i < 50; i++) stage.client.write(['SET', 'r:b', 'x']);
    await settle();
    assert.ok(stage.stats.requests < 50);
    stage.now = START + 30_001;
    stage.gate.sweep();
    await settle();
    assert.equal(stage.stats.events.get('cut upstream_stalled'), 1);
  });

  it('cannot have more open requests than allowed', async () => {
    const stage = createStage({ pending: 10 });
    await stage.logIn();
    for (let i = 0; i < 30; i++) {
      stage.client.write(['GET', 'r:a']);
      await settle();
    }
    assert.equal(stage.stats.requests, 11);
    stage.redis().write('$-1\r\n'.repeat(10));
    await settle();
    assert.ok(stage.stats.requests > 11);
  });

  it('cannot fill memory with requests that never end', async () => {
    const stage = createStage({ unparsed: 1000 });
    await stage.logIn();
    stage.client.write(`*3\r\n$3\r\nSET\r\n$3\r\nr:a\r\n$5000\r\n${'v'.repeat(2000)}`);
    await settle();
    assert.ok(stage.client.isEnded());
    assert.equal(stage.stats.events.get('cut memory'), 1);
    assert.equal(stage.stats.unparsed, 0);
  });
});

describe('idle clients', () => {
  it('are sent away, unless they wait for something', async () => {
    const cases = [
      [[], true],
      [['SUBSCRIBE', 'r:a'], false],
      [['GET', 'r:a'], false],
    ] as const;
    for (const [request, isIdle] of cases) {
      const stage = createStage({ idleMs: 1000 });
      await stage.logIn();
      if (request.length > 0) stage.client.write([...request]);
      await settle();
      stage.now = START + 1001;
      stage.gate.sweep();
      await settle();
      assert.equal(stage.client.isEnded(), isIdle);
    }
  });
});

describe('endings', () => {
  it('QUIT gets the replies that are due, then OK', async () => {
    const stage = createStage();
    await stage.logIn();
    stage.client.write(['GET', 'r:a'], ['QUIT'], ['GET', 'r:b']);
    await settle();
    assert.equal(stage.redis().read(), text('GET', 'r:a'));
    stage.redis().write('$1\r\na\r\n');
    await settle();
    assert.equal(stage.client.read(), '$1\r\na\r\n+OK\r\n');
    assert.ok(stage.client.isEnded());
    stage.client.stream.end();
    await settle();
    assert.deepEqual(stage.gate.connections(), { fresh: 0, open: 0 });
  });

  it('a closing connection does not wait for ever', async () => {
    const stage = createStage();
    await stage.logIn();
    stage.client.write(['GET', 'r:a'], ['QUIT']);
    await settle();
    stage.now = START + 1001;
    stage.gate.sweep();
    await settle();
    assert.ok(stage.client.isEnded());
    assert.deepEqual(stage.gate.connections(), { fresh: 0, open: 0 });
  });

  it('either side gone takes the other with it', async () => {
    for (const side of ['client', 'redis'] as const) {
      const stage = createStage();
      await stage.logIn();
      const redis = stage.redis();
      (side === 'client' ? stage.client : redis).stream.destroy();
      await settle();
      assert.ok(stage.client.isEnded() && redis.isEnded(), side);
      assert.deepEqual(stage.gate.connections(), { fresh: 0, open: 0 });
    }
  });

  it('the gate closing takes all with it', async () => {
    const stage = createStage();
    await stage.logIn();
    stage.gate.close();
    await settle();
    assert.ok(stage.client.isEnded());
  });
});
