import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { RequestParser } from '../resp/request-parser.ts';
import { encodeRequest } from '../resp/encode.ts';
import { checkRequest, lookUp, type Denial } from './check-request.ts';
import { COMMANDS, NEVER } from './command-table.ts';
import { parseRole } from './role.ts';

const LIMITS = { args: 100, bulk: 1000, request: 10_000 };

/** What a role with these rules is told about a request. */
function ask(rules: string, ...args: string[]): Denial | 'session' | undefined {
  const parser = new RequestParser(LIMITS);
  parser.push(encodeRequest(args));
  assert.ok(parser.next());
  const command = lookUp(parser);
  if (typeof command === 'string') return 'session';
  return command === undefined ? 'command' : checkRequest(parseRole('r', rules), command, parser);
}

const names = (rules: string): string[] =>
  Array.from(parseRole('r', rules).commands, ({ name }) => name).toSorted();

const RECORDS = '~records:* &records:* +@read +@write +@pubsub +@transaction';

describe('parseRole', () => {
  it('reads rules from left to right', () => {
    assert.deepEqual(names('+get -get'), ['echo', 'ping']);
    assert.deepEqual(names('-@all +GET +xinfo|stream'), ['echo', 'get', 'ping', 'xinfo|stream']);
    assert.ok(names('+@read -@string').includes('hget'));
    assert.ok(!names('+@read -@string').includes('get'));
    assert.equal(names('+@all').length, COMMANDS.size);
    assert.equal(names('+@read -@dangerous').length, names('+@read').length);
    assert.deepEqual(names('+object -object|freq').length, 2 + 3);
  });

  it('reads patterns of keys and channels', () => {
    const role = parseRole('r', '~a:* ~b &c* allchannels');
    assert.deepEqual(
      role.keys.map(({ text }) => text),
      ['a:*', 'b'],
    );
    assert.deepEqual(
      role.channels.map(({ text }) => text),
      ['c*', '*'],
    );
    assert.ok(ask('allkeys +get', 'GET', 'x') === undefined);
  });

  const refused = [
    '+nothing',
    '+@nothing',
    'on',
    '>password',
    'nopass',
    '~',
    '&',
    '+',
    '%R~a',
    '(+get)',
  ];
  for (const rule of [...refused, ...Array.from(NEVER, (name) => `+${name}`), '+sort', '+eval'])
    it(`refuses a role with ${rule} as a whole`, () => {
      assert.throws(() => parseRole('records', `~* +get ${rule}`), {
        name: 'ConfigError',
        where: 'manifest: /cache/roles/records: rule 3',
      });
    });
});

describe('checkRequest', () => {
  const allowed: readonly (readonly string[])[] = [
    ['PING'],
    ['get', 'records:a'],
    ['GeT', 'records:a'],
    ['SET', 'records:a', 'other:b', 'EX', '1'],
    ['MGET', 'records:a', 'records:b'],
    ['MSET', 'records:a', 'other:', 'records:b', 'other:'],
    ['SCAN', '0', 'MATCH', 'records:x*', 'COUNT', '10'],
    ['XREAD', 'COUNT', '1', 'STREAMS', 'records:a', 'records:b', '0', '0'],
    ['XREADGROUP', 'GROUP', 'STREAMS', 'other', 'STREAMS', 'records:a', '>'],
    ['ZUNIONSTORE', 'records:a', '2', 'records:b', 'records:c', 'WEIGHTS', '1', '2'],
    ['LMPOP', '1', 'records:a', 'LEFT'],
    ['COPY', 'records:a', 'records:b', 'REPLACE'],
    ['OBJECT', 'ENCODING', 'records:a'],
    ['PUBLISH', 'records:c', 'x'],
    ['SUBSCRIBE', 'records:a', 'records:b'],
    ['PSUBSCRIBE', 'records:*'],
    ['UNSUBSCRIBE', 'anything'],
    ['WATCH', 'records:a'],
  ];
  for (const args of allowed)
    it(`allows ${args.join(' ')}`, () => assert.equal(ask(RECORDS, ...args), undefined));

  const refused: readonly (readonly [Denial, ...string[]])[] = [
    ['command', 'NOTHING', 'records:a'],
    ['command', 'OBJECT'],
    ['command', 'OBJECT', 'HELP'],
    ['command', 'XINFO', 'STREAM'.repeat(10), 'records:a'],
    ['command', 'x'.repeat(500)],
    ['command', 'TIME'],
    ['key', 'GET', 'other:a'],
    ['key', 'GET', ''],
    ['key', 'GET', 'RECORDS:a'],
    ['key', 'MGET', 'records:a', 'other:a'],
    ['key', 'MSET', 'records:a', '1', 'other:a', '1'],
    ['key', 'RENAME', 'records:a', 'other:a'],
    ['key', 'BITOP', 'AND', 'records:a', 'other:a'],
    ['key', 'SCAN', '0'],
    ['key', 'SCAN', '0', 'MATCH', '*'],
    ['key', 'XREAD', 'STREAMS', 'records:a', 'other:a', '0', '0'],
    ['key', 'XREADGROUP', 'GROUP', 'STREAMS', 'records:x', 'STREAMS', 'other', '>'],
    ['key', 'ZUNIONSTORE', 'records:a', '1', 'other:b'],
    ['key', 'ZUNIONSTORE', 'other:a', '1', 'records:b'],
    ['key', 'LMPOP', '2', 'records:a', 'other:a', 'LEFT'],
    ['key', 'WATCH', 'other:a'],
    ['channel', 'PUBLISH', 'other', 'x'],
    ['channel', 'SUBSCRIBE', 'records:a', 'other'],
    ['channel', 'PSUBSCRIBE', '*'],
    ['channel', 'PSUBSCRIBE', 'records:a*'],
    ['arguments', 'GET'],
    ['arguments', 'RENAME', 'records:a'],
    ['arguments', 'MGET'],
    ['arguments', 'SCAN', '0', 'MATCH', 'records:*', 'MATCH', '*'],
    ['arguments', 'SCAN', '0', 'MATCH'],
    ['arguments', 'SCAN', '0', 'NOVALUES', 'records:*'],
    ['arguments', 'XREAD', 'STREAMS', 'records:a'],
    ['arguments', 'XREAD', 'STREAMS', 'records:a', 'records:b', '0'],
    ['arguments', 'XREAD', 'OTHER', 'STREAMS', 'records:a', '0'],
    ['arguments', 'XREAD', 'COUNT', '1'],
    ['arguments', 'ZUNIONSTORE', 'records:a', '0', 'records:b'],
    ['arguments', 'ZUNIONSTORE', 'records:a', '-1', 'records:b'],
    ['arguments', 'ZUNIONSTORE', 'records:a', '3', 'records:b'],
    ['arguments', 'LMPOP', 'x', 'records:a', 'LEFT'],
    ['arguments', 'COPY', 'records:a', 'records:b', 'DB', '1'],
  ];
  for (const [denial, ...args] of refused)
    it(`refuses ${args.join(' ').slice(0, 60)}: ${denial}`, () =>
      assert.equal(ask(RECORDS, ...args), denial));

  it('knows none of what nobody may have, whatever the role', () => {
    for (const name of NEVER) {
      assert.equal(ask('~* &* +@all', name), 'command');
      assert.equal(ask('~* &* +@all', name.toUpperCase(), 'a', 'b'), 'command');
    }
  });

  it('takes blocking commands away where the role says so', () => {
    assert.equal(ask('~* +@write', 'BLPOP', 'a', '0'), undefined);
    assert.equal(ask('~* +@write -@blocking', 'BLPOP', 'a', '0'), 'command');
  });

  it('allows nothing without rules', () => {
    assert.equal(ask('', 'GET', 'a'), 'command');
    assert.equal(ask('+get', 'GET', 'a'), 'key');
    assert.equal(ask('+publish', 'PUBLISH', 'a', 'b'), 'channel');
  });
});
