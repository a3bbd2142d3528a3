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
const ROUNDS = 5;

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
    const measure = async (kind: Kind, options: readonly string[]): Promise<[number, number]> => {
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
      const rates = new Map<string, number[]>();
      for (let round = 0; round <= ROUNDS; round++) {
        for (const kind of kinds) {
          const [set, get] = await measure(kind, options);
          // The first round warms up.
          if (round === 0) continue;
          for (const [name, rate] of [
            ['SET', set],
            ['GET', get],
          ] as const)
            rates.set(`${kind} ${name}`, [...(rates.get(`${kind} ${name}`) ?? []), rate]);
        }
      }
      for (const name of ['SET', 'GET']) {
        const floor = median(rates.get(`through ${name}`) ?? []);
        for (const kind of kinds) {
          const value = median(rates.get(`${kind} ${name}`) ?? []);
          report({
            name: `${LABELS[kind]}: ${what} ${name}`,
            value: value / 1000,
            unit: 'k ops/s',
            ...(kind === 'through' ? {} : { ratio: value / floor, against: 'plain pass-through' }),
          });
        }
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
