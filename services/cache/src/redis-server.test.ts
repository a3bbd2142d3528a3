import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { accessSync, constants, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { openRespConnection, type RespConnection } from '@cloister/service';
import { connectRedis, type RedisAddress } from './upstream/redis-address.ts';

/** A real Redis for tests, on a UNIX socket in a folder of its own. */
export interface RedisServer {
  readonly address: RedisAddress;
  readonly path: string;
  /** A connection past the gate, as the host has it. */
  host(): Promise<RespConnection>;
  stop(): Promise<void>;
}

/** Where redis-server is; undefined: tests that need it are skipped, and say so. */
export function findProgram(name: string): string | undefined {
  for (const folder of (process.env['PATH'] ?? '').split(delimiter)) {
    const file = join(folder, name);
    try {
      accessSync(file, constants.X_OK);
      return file;
    } catch {
      // Not here.
    }
  }
  return undefined;
}

export const redisMissing: string | false =
  findProgram('redis-server') === undefined ? 'redis-server is not installed' : false;

export async function startRedis(folder?: string): Promise<RedisServer> {
  const own = folder ?? mkdtempSync(join(tmpdir(), 'cloister-redis-'));
  const path = join(own, 'redis.sock');
  const child = spawn(
    findProgram('redis-server') ?? 'redis-server',
    ['--port', '0', '--unixsocket', path, '--save', '', '--appendonly', 'no', '--dir', own],
    { stdio: 'ignore' },
  );
  const address = { path };
  for (let attempt = 0; ; attempt++) {
    try {
      (await connectRedis(address)).destroy();
      break;
    } catch (error) {
      if (attempt > 200 || child.exitCode !== null) throw error;
      await sleep(25);
    }
  }
  return {
    address,
    path,
    host: async () => openRespConnection(await connectRedis(address)),
    stop: async () => {
      if (child.exitCode === null && child.signalCode === null) {
        child.kill('SIGKILL');
        await once(child, 'exit');
      }
      if (folder === undefined) rmSync(own, { recursive: true, force: true });
    },
  };
}
