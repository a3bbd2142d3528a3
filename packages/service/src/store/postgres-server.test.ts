import { execFileSync, spawnSync } from 'node:child_process';
import { chownSync, existsSync, globSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** The folder with PostgreSQL's programs: Debian keeps them outside of PATH. */
const BIN = ['/usr/lib/postgresql/*/bin', '/usr/local/pgsql/bin', '/usr/local/bin', '/usr/bin']
  .flatMap((pattern) => globSync(pattern).toSorted().toReversed())
  .find((folder) =>
    ['initdb', 'pg_ctl', 'psql'].every((program) => existsSync(join(folder, program))),
  );

/** What `skip` takes: a reason where no PostgreSQL is installed. */
export const postgresMissing: string | false =
  BIN === undefined ? 'PostgreSQL is not installed' : false;

/** A PostgreSQL server of this test run alone: on a UNIX socket, in a folder of its own. */
export interface PostgresServer {
  readonly url: string;
  /** As from outside, by SQL: for what a store cannot do. */
  sql(text: string): string;
  stop(): void;
  start(): void;
  remove(): void;
}

/** Starts a server (as a user other than root, which PostgreSQL refuses). Durable, as in earnest. */
export function startPostgres(): PostgresServer {
  const folder = mkdtempSync(join(tmpdir(), 'cloister-pg-'));
  const user = userToRunAs();
  if (user !== undefined) chownSync(folder, user.uid, user.gid);
  const data = join(folder, 'data');
  const run = (program: string, ...args: readonly string[]): string =>
    execFileSync(join(BIN ?? '', program), args, {
      ...user,
      cwd: folder,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    });
  run('initdb', '-D', data, '-A', 'trust', '-U', 'cloister', '-E', 'UTF8', '--no-locale');
  const options = `-k ${folder} -c listen_addresses='' -c max_connections=20`;
  const start = (): void => {
    run('pg_ctl', '-D', data, '-w', '-l', join(folder, 'log'), '-o', options, 'start');
  };
  const stop = (): void => {
    run('pg_ctl', '-D', data, '-w', '-m', 'immediate', 'stop');
  };
  start();
  return {
    url: `postgres://cloister@localhost/postgres?host=${folder}`,
    sql: (text) => run('psql', '-h', folder, '-U', 'cloister', '-Atc', text, 'postgres'),
    stop,
    start,
    remove: () => {
      if (spawnSync(join(BIN ?? '', 'pg_ctl'), ['-D', data, 'status'], { ...user }).status === 0)
        stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function userToRunAs(): { uid: number; gid: number } | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const users = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .map((line) => line.split(':'));
  for (const name of ['postgres', 'nobody']) {
    const [, , uid, gid] = users.find(([user]) => user === name) ?? [];
    if (uid !== undefined) return { uid: Number(uid), gid: Number(gid) };
  }
  return { uid: 65_534, gid: 65_534 };
}
