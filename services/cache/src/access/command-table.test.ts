import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { RespError, type RespConnection, type RespReply } from '@cloister/service';
import { redisMissing, startRedis, type RedisServer } from '../redis-server.test.ts';
import { CATEGORIES, COMMANDS, NEVER, type CommandSpec } from './command-table.ts';

describe('the table of commands', () => {
  it('names no command that nobody may have', () => {
    for (const { name } of COMMANDS.values())
      assert.ok(!NEVER.has(name.split('|')[0] ?? ''), `${name} is in both`);
  });

  it('has every command that writes or reads say so, once', () => {
    for (const { name, categories, keys } of COMMANDS.values()) {
      assert.ok(!(categories.has('read') && categories.has('write')), name);
      const touches = categories.has('read') || categories.has('write') || name === 'watch';
      assert.equal(keys.at !== 'nowhere', touches, name);
    }
    assert.ok(!CATEGORIES.has('dangerous') && !CATEGORIES.has('admin'));
  });
});

describe('the table of commands against a real Redis', { skip: redisMissing }, () => {
  let redis: RedisServer;
  let host: RespConnection;
  let theirs: Map<string, { readonly arity: number; readonly categories: Set<string> }>;
  before(async () => {
    redis = await startRedis();
    host = await redis.host();
    theirs = new Map();
    const add = (entry: RespReply): void => {
      assert.ok(Array.isArray(entry));
      const [name, arity, , , , , categories, , , subcommands] = entry;
      theirs.set(textOf(name), {
        arity: Number(arity),
        categories: new Set(listOf(categories).map((one) => textOf(one).slice(1))),
      });
      for (const sub of listOf(subcommands)) add(sub);
    };
    for (const entry of listOf(await host.send(['COMMAND']))) add(entry);
  });
  const keysOf = async (args: readonly string[]): Promise<string[]> => {
    try {
      return listOf(await host.send(['COMMAND', 'GETKEYS', ...args])).map(textOf);
    } catch (error) {
      throw new Error(args.join(' '), { cause: error });
    }
  };
  after(async () => {
    host.close();
    await redis.stop();
  });

  it('has the categories of Redis, and no dangerous command', () => {
    for (const { name, categories } of COMMANDS.values()) {
      const real = theirs.get(name);
      assert.ok(real !== undefined, `${name} is unknown to Redis`);
      for (const one of ['dangerous', 'admin', 'scripting'])
        assert.ok(!real.categories.has(one), `${name} is ${one}`);
      const expected = [...real.categories].filter((one) => one !== 'fast' && one !== 'slow');
      assert.deepEqual([...categories].toSorted(), expected.toSorted(), name);
    }
  });

  it('finds the keys that Redis finds', async () => {
    for (const spec of COMMANDS.values()) {
      if (spec.keys.at === 'nowhere' || spec.keys.at === 'match') continue;
      const arity = theirs.get(spec.name)?.arity ?? 0;
      for (const args of examples(spec, Math.abs(arity))) {
        const expected = args.filter((arg) => arg.startsWith('key'));
        const found = await keysOf(args);
        assert.deepEqual(found.toSorted(), expected.toSorted(), args.join(' '));
      }
    }
  });

  it('leaves out, of what Redis calls reading or writing, only what it means to', () => {
    const left = Array.from(theirs, ([name, { categories }]) =>
      (categories.has('read') || categories.has('write')) &&
      !COMMANDS.has(name) &&
      !NEVER.has(name.split('|')[0] ?? '')
        ? [name]
        : [],
    ).flat();
    assert.deepEqual(left.toSorted(), [
      'dbsize',
      'georadius',
      'georadius_ro',
      'georadiusbymember',
      'georadiusbymember_ro',
      'lolwut',
      'pfdebug',
      'randomkey',
      'sort',
      'sort_ro',
      'xsetid',
    ]);
  });

  it('has all that the deny list of the specification names refused', async () => {
    for (const name of ['config', 'debug', 'module', 'shutdown', 'replicaof', 'migrate', 'restore'])
      assert.ok(NEVER.has(name) && theirs.has(name));
    await assert.rejects(host.send(['NOTHING']), RespError);
  });
});

/** Requests of a command in which the arguments that begin with `key` are its keys. */
function examples({ name, keys, variadic }: CommandSpec, arity: number): string[][] {
  const words = name.split('|');
  if (keys.at === 'streams')
    return [
      name === 'xread'
        ? ['xread', 'count', '1', 'streams', 'key1', 'key2', '0', '0']
        : ['xreadgroup', 'group', 'g', 'c', 'noack', 'streams', 'key1', '>'],
    ];
  if (keys.at === 'counted') {
    const args = [...words];
    if (keys.also !== undefined) args.push('key0');
    while (args.length < keys.count) args.push('0');
    return [[...args, '2', 'key1', 'key2', ...(name.endsWith('mpop') ? ['min'] : [])]];
  }
  if (keys.at !== 'range') return [];
  const { first, last, step } = keys;
  return (variadic && last < 0 ? [1, 2, 3] : [0]).map((more) => {
    const length = last < 0 ? Math.max(arity, first + 1 - last - 1) + more * step : arity;
    const args = [...words];
    while (args.length < length) args.push('1');
    const end = last < 0 ? args.length + last : last;
    for (let i = first; i <= end; i += step) args[i] = `key${i}`;
    return args;
  });
}

function listOf(reply?: RespReply): RespReply[] {
  return Array.isArray(reply) ? reply : [];
}

function textOf(reply?: RespReply): string {
  return reply instanceof Uint8Array ? reply.toString('latin1') : String(reply);
}
