import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { createHttpClient } from '@cloister/service';
import { CommandError } from '../command-error.ts';
import { readTrust } from '../local-trust.ts';
import { placesIn, ROOT } from '../local/places.ts';
import { BUILD_LIST } from '../local/portal-server.ts';

const HELP = `cloister portal verify <url> [--manifest <file>]

  Fetches every file of a portal as a browser would, and compares with the build that the trust
  manifest names. Run it on another computer than the one that serves the portal: no page can prove
  its own integrity. (--manifest: default is the one of \`cloister up\` on this machine.)

Exit codes: 0 the agreed build, 2 another one, 1 it could not be fetched.
`;
const LINE = /^([0-9a-f]{64}) {2}(\/[\w./-]+)$/;

/** `cloister portal verify`: whether a portal is the build that the parties signed. */
export async function run(args: readonly string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: { manifest: { type: 'string' }, help: { type: 'boolean', default: false } },
  });
  const [verb, address] = positionals;
  if (values.help || verb !== 'verify' || address === undefined) {
    process.stderr.write(HELP);
    return values.help ? 0 : 64;
  }
  const manifest = await readTrust(values.manifest ?? placesIn(join(ROOT, '.cloister')).manifest);
  const agreed = manifest.manifest.portal?.build;
  if (agreed === undefined) throw new CommandError('the manifest names no portal build');
  const client = createHttpClient();
  const fetchBytes = async (path: string): Promise<Uint8Array> => {
    const answer = await client(new Request(new URL(path, address)));
    if (answer.status !== 200) throw new CommandError(`${path} answers ${answer.status}`);
    return new Uint8Array(await answer.arrayBuffer());
  };
  try {
    const list = await fetchBytes(BUILD_LIST);
    const problems = digest(list) === agreed ? [] : ['the list of files is not the agreed one'];
    const files = parseList(new TextDecoder().decode(list));
    for (const [path, expected] of files) {
      if (digest(await fetchBytes(path)) !== expected) problems.push(`${path} differs`);
    }
    const page = digest(await fetchBytes('/'));
    if (page !== files.get('/index.html')) problems.push('/ is not /index.html');
    for (const problem of problems) process.stdout.write(`FAILED  ${problem}\n`);
    process.stdout.write(`agreed build   ${agreed}\nserved build   ${digest(list)}\n`);
    process.stdout.write(
      `${files.size} files; ${problems.length === 0 ? 'verified' : 'refused'}\n`,
    );
    return problems.length === 0 ? 0 : 2;
  } finally {
    client.close();
  }
}

function parseList(text: string): ReadonlyMap<string, string> {
  return new Map(
    text
      .trimEnd()
      .split('\n')
      .map((line) => {
        const [, hash, path] = LINE.exec(line) ?? [];
        if (hash === undefined || path === undefined) throw new CommandError('malformed file list');
        return [path, hash] as const;
      }),
  );
}

function digest(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
