/**
 * The Redis gate against a plain TCP pass-through in Node, to the same Redis (issue D, point 7).
 * The load is redis-benchmark's. Rounds take turns: what disturbs the machine hits all alike.
 */
import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { findProgram, startRedis } from '../../services/cache/src/redis-server.test.ts';
import type { Report } from './figure.ts';

const execute = promisify(execFile);
const KINDS = ['through', 'gate', 'gate-tls'] as const;
type Kind = (typeof KINDS)[number];
type Rates = Map<Kind, readonly number[]>;
const ROUNDS = 7;

/** Runs the group `cache`. */
export async function run(report: Report): Promise<void> {
  const program = findProgram('redis-benchmark');
  if (program === undefined) {
    process.stderr.write('cache: redis-benchmark is not installed, nothing measured\n');
    return;
  }
  const redis = await startRedis();
  const servers = new Map<Kind, Server>();
  try {
    for (const kind of KINDS) servers.set(kind, await startServer(kind, redis.path));
    const measure = async (kind: Kind, options: readonly string[]): Promise<number[]> => {
      const port = servers.get(kind)?.port ?? 0;
      const tls = kind === 'gate-tls' ? ['--tls', '--insecure'] : [];
      const login = kind === 'through' ? [] : ['-a', 'token'];
      const args = ['-p', String(port), '-c', '50', '-d', '1024', '-t', 'set,get', '--csv'];
      const { stdout } = await execute(program, [...args, ...tls, ...login, ...options]);
      const rate = (name: string): number =>
        Number(new RegExp(`^"${name}","([\\d.]+)"`, 'm').exec(stdout)?.[1] ?? Number.NaN);
      return [rate('SET'), rate('GET')];
    };
    const compare = async (
      what: string,
      kinds: readonly Kind[],
      options: readonly string[],
    ): Promise<void> => {
      const rounds: Rates[] = [];
      for (let round = 0; round <= ROUNDS; round++) {
        const rates: Rates = new Map();
        // Each goes first in turn: what disturbs the machine for a while hits all alike.
        for (let i = 0; i < kinds.length; i++) {
          const kind = kinds[(i + round) % kinds.length];
          if (kind !== undefined) rates.set(kind, await measure(kind, options));
        }
        // The first round warms up.
        if (round > 0) rounds.push(rates);
      }
      for (const [index, name] of ['SET', 'GET'].entries())
        for (const kind of kinds) {
          const rateOf = (rates: Rates, of: Kind): number => rates.get(of)?.[index] ?? Number.NaN;
          const value = median(rounds.map((rates) => rateOf(rates, kind))) / 1000;
          const ratio = median(
            rounds.map((rates) => rateOf(rates, kind) / rateOf(rates, 'through')),
          );
          report({
            name: `${LABELS[kind]}: ${what} ${name}`,
            value,
            unit: 'k ops/s',
            ...(kind === 'through' ? {} : { ratio, against: 'plain pass-through' }),
          });
        }
    };
    await compare('1 kB, 50 connections,', KINDS, ['-n', '30000']);
    await compare('1 kB, pipelined by 16,', KINDS, ['-n', '200000', '-P', '16']);
  } finally {
    for (const { child } of servers.values()) child.kill('SIGKILL');
    await redis.stop();
  }
}

const LABELS: Readonly<Record<Kind, string>> = {
  through: 'pass-through',
  gate: 'gate without TLS',
  'gate-tls': 'gate with TLS 1.3',
};

interface Server {
  readonly child: ChildProcess;
  readonly port: number;
}

async function startServer(kind: Kind, path: string): Promise<Server> {
  const entry = fileURLToPath(new URL('cache-server.ts', import.meta.url));
  const child = spawn(process.execPath, ['--conditions=@cloister/source', entry, kind, path], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [line] = (await once(createInterface(child.stdout), 'line')) as [string];
  return { child, port: Number(/\d+/.exec(line)?.[0]) };
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? Number.NaN;
}
