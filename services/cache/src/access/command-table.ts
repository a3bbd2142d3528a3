/** Where a command names keys or channels; positions count from the command's name, which is 0. */
export type Operands =
  | { readonly at: 'nowhere' }
  /** Every `step`th from `first` to `last`; a negative `last` counts from the end. */
  | {
      readonly at: 'range';
      readonly first: number;
      readonly last: number;
      readonly step: number;
    }
  /** As many as the number at `count` says, behind it; `also` is one more key. */
  | { readonly at: 'counted'; readonly count: number; readonly also?: number }
  /** The first half of what follows the word STREAMS. */
  | { readonly at: 'streams' }
  /** In the pattern of SCAN's MATCH option. */
  | { readonly at: 'match' };

/** One command that a role may be given. */
export interface CommandSpec {
  /** Lower case; a subcommand as `xinfo|stream`. */
  readonly name: string;
  readonly categories: ReadonlySet<string>;
  readonly keys: Operands;
  /** Where it names channels; `patterns` says that they are patterns. */
  readonly channels: Operands;
  readonly patterns: boolean;
  /** Whether it may have any number of arguments; else at most 64. */
  readonly variadic: boolean;
}

/*
 * name | operands | categories, `*` behind the name: takes any number of arguments. Operands:
 * `first last step`, `#n` (counted at n), `#n+m` (and a key at m), `streams`, `match`, `-`;
 * with `@` before them they are channels, with `@@` patterns of channels. Categories are those of
 * Redis without fast and slow. What is not here, nobody may call: scripts, SORT (its BY and GET
 * read other keys), KEYS, RANDOMKEY, DBSIZE and PUBSUB (they tell of others), MOVE, SWAPDB,
 * CLIENT REPLY and TRACKING, all of administration. A test compares it with a real Redis.
 */
const TABLE = `
append|1 1 1|write string
bitcount|1 1 1|read bitmap
bitfield*|1 1 1|write bitmap
bitfield_ro*|1 1 1|read bitmap
bitop*|2 -1 1|write bitmap
bitpos|1 1 1|read bitmap
blmove|1 2 1|write list blocking
blmpop*|#2|write list blocking
blpop*|1 -2 1|write list blocking
brpop*|1 -2 1|write list blocking
brpoplpush|1 2 1|write list blocking
bzmpop*|#2|write sortedset blocking
bzpopmax*|1 -2 1|write sortedset blocking
bzpopmin*|1 -2 1|write sortedset blocking
copy|1 2 1|keyspace write
decr|1 1 1|write string
decrby|1 1 1|write string
del*|1 -1 1|keyspace write
discard|-|transaction
echo|-|connection
exec|-|transaction
exists*|1 -1 1|keyspace read
expire|1 1 1|keyspace write
expireat|1 1 1|keyspace write
expiretime|1 1 1|keyspace read
geoadd*|1 1 1|write geo
geodist|1 1 1|read geo
geohash*|1 1 1|read geo
geopos*|1 1 1|read geo
geosearch|1 1 1|read geo
geosearchstore|1 2 1|write geo
get|1 1 1|read string
getbit|1 1 1|read bitmap
getdel|1 1 1|write string
getex|1 1 1|write string
getrange|1 1 1|read string
getset|1 1 1|write string
hdel*|1 1 1|write hash
hexists|1 1 1|read hash
hget|1 1 1|read hash
hgetall|1 1 1|read hash
hincrby|1 1 1|write hash
hincrbyfloat|1 1 1|write hash
hkeys|1 1 1|read hash
hlen|1 1 1|read hash
hmget*|1 1 1|read hash
hmset*|1 1 1|write hash
hrandfield|1 1 1|read hash
hscan|1 1 1|read hash
hset*|1 1 1|write hash
hsetnx|1 1 1|write hash
hstrlen|1 1 1|read hash
hvals|1 1 1|read hash
incr|1 1 1|write string
incrby|1 1 1|write string
incrbyfloat|1 1 1|write string
lcs|1 2 1|read string
lindex|1 1 1|read list
linsert|1 1 1|write list
llen|1 1 1|read list
lmove|1 2 1|write list
lmpop*|#1|write list
lpop|1 1 1|write list
lpos|1 1 1|read list
lpush*|1 1 1|write list
lpushx*|1 1 1|write list
lrange|1 1 1|read list
lrem|1 1 1|write list
lset|1 1 1|write list
ltrim|1 1 1|write list
memory usage|2 2 1|read
mget*|1 -1 1|read string
mset*|1 -1 2|write string
msetnx*|1 -1 2|write string
multi|-|transaction
object encoding|2 2 1|keyspace read
object freq|2 2 1|keyspace read
object idletime|2 2 1|keyspace read
object refcount|2 2 1|keyspace read
persist|1 1 1|keyspace write
pexpire|1 1 1|keyspace write
pexpireat|1 1 1|keyspace write
pexpiretime|1 1 1|keyspace read
pfadd*|1 1 1|write hyperloglog
pfcount*|1 -1 1|read hyperloglog
pfmerge*|1 -1 1|write hyperloglog
ping|-|connection
psetex|1 1 1|write string
psubscribe*|@@1 -1 1|pubsub
pttl|1 1 1|keyspace read
publish|@1 1 1|pubsub
punsubscribe*|-|pubsub
rename|1 2 1|keyspace write
renamenx|1 2 1|keyspace write
rpop|1 1 1|write list
rpoplpush|1 2 1|write list
rpush*|1 1 1|write list
rpushx*|1 1 1|write list
sadd*|1 1 1|write set
scan|match|keyspace read
scard|1 1 1|read set
sdiff*|1 -1 1|read set
sdiffstore*|1 -1 1|write set
set|1 1 1|write string
setbit|1 1 1|write bitmap
setex|1 1 1|write string
setnx|1 1 1|write string
setrange|1 1 1|write string
sinter*|1 -1 1|read set
sintercard*|#1|read set
sinterstore*|1 -1 1|write set
sismember|1 1 1|read set
smembers|1 1 1|read set
smismember*|1 1 1|read set
smove|1 2 1|write set
spop|1 1 1|write set
srandmember|1 1 1|read set
srem*|1 1 1|write set
sscan|1 1 1|read set
strlen|1 1 1|read string
subscribe*|@1 -1 1|pubsub
substr|1 1 1|read string
sunion*|1 -1 1|read set
sunionstore*|1 -1 1|write set
time|-|
touch*|1 -1 1|keyspace read
ttl|1 1 1|keyspace read
type|1 1 1|keyspace read
unlink*|1 -1 1|keyspace write
unsubscribe*|-|pubsub
unwatch|-|transaction
watch*|1 -1 1|transaction
xack*|1 1 1|write stream
xadd*|1 1 1|write stream
xautoclaim|1 1 1|write stream
xclaim*|1 1 1|write stream
xdel*|1 1 1|write stream
xgroup create|2 2 1|write stream
xgroup createconsumer|2 2 1|write stream
xgroup delconsumer|2 2 1|write stream
xgroup destroy|2 2 1|write stream
xgroup setid|2 2 1|write stream
xinfo consumers|2 2 1|read stream
xinfo groups|2 2 1|read stream
xinfo stream|2 2 1|read stream
xlen|1 1 1|read stream
xpending|1 1 1|read stream
xrange|1 1 1|read stream
xread*|streams|read stream blocking
xreadgroup*|streams|write stream blocking
xrevrange|1 1 1|read stream
xtrim|1 1 1|write stream
zadd*|1 1 1|write sortedset
zcard|1 1 1|read sortedset
zcount|1 1 1|read sortedset
zdiff*|#1|read sortedset
zdiffstore*|#2+1|write sortedset
zincrby|1 1 1|write sortedset
zinter*|#1|read sortedset
zintercard*|#1|read sortedset
zinterstore*|#2+1|write sortedset
zlexcount|1 1 1|read sortedset
zmpop*|#1|write sortedset
zmscore*|1 1 1|read sortedset
zpopmax|1 1 1|write sortedset
zpopmin|1 1 1|write sortedset
zrandmember|1 1 1|read sortedset
zrange|1 1 1|read sortedset
zrangebylex|1 1 1|read sortedset
zrangebyscore|1 1 1|read sortedset
zrangestore|1 2 1|write sortedset
zrank|1 1 1|read sortedset
zrem*|1 1 1|write sortedset
zremrangebylex|1 1 1|write sortedset
zremrangebyrank|1 1 1|write sortedset
zremrangebyscore|1 1 1|write sortedset
zrevrange|1 1 1|read sortedset
zrevrangebylex|1 1 1|read sortedset
zrevrangebyscore|1 1 1|read sortedset
zrevrank|1 1 1|read sortedset
zscan|1 1 1|read sortedset
zscore|1 1 1|read sortedset
zunion*|#1|read sortedset
zunionstore*|#2+1|write sortedset
`;

const NOWHERE: Operands = { at: 'nowhere' };

/** All commands that a role can be given, by name. */
export const COMMANDS: ReadonlyMap<string, CommandSpec> = readTable(TABLE);

/** The categories that a role can name. */
export const CATEGORIES: ReadonlySet<string> = new Set(
  Array.from(COMMANDS.values(), ({ categories }) => [...categories]).flat(),
);

/**
 * What no role can be given, named in a manifest or not (spec/cache-and-storage.md 1.3): a role
 * that names one of them is refused as a whole, so that nobody believes that it counts.
 */
export const NEVER: ReadonlySet<string> = new Set(
  `acl asking bgrewriteaof bgsave cluster config debug dump eval eval_ro evalsha evalsha_ro failover
   fcall fcall_ro flushall flushdb function keys lastsave latency migrate module monitor move
   psync pubsub replconf replicaof reset restore restore-asking role save script shutdown slaveof
   slowlog swapdb sync wait waitaof`
    .split(/\s+/)
    .filter((name) => name !== ''),
);

function readTable(text: string): Map<string, CommandSpec> {
  const commands = text
    .trim()
    .split('\n')
    .map((line): CommandSpec => {
      const [head = '', operands = '', categories = ''] = line.split('|');
      const channels = operands.startsWith('@');
      const where = readOperands(operands.replace(/^@+/, ''));
      return {
        name: head.replace('*', '').replace(' ', '|'),
        variadic: head.includes('*'),
        categories: new Set(categories.split(' ').filter((name) => name !== '')),
        keys: channels ? NOWHERE : where,
        channels: channels ? where : NOWHERE,
        patterns: operands.startsWith('@@'),
      };
    });
  return new Map(commands.map((spec) => [spec.name, spec]));
}

function readOperands(text: string): Operands {
  if (text === 'streams' || text === 'match') return { at: text };
  if (text === '-') return NOWHERE;
  const counted = /^#(\d)(?:\+(\d))?$/.exec(text);
  if (counted !== null) {
    const [, count, also] = counted;
    return {
      at: 'counted',
      count: Number(count),
      ...(also === undefined ? {} : { also: Number(also) }),
    };
  }
  const [first = 0, last = 0, step = 0] = text.split(' ').map(Number);
  return { at: 'range', first, last, step };
}
