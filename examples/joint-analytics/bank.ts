/**
 * One bank: `--name <party> --key <pkcs8> --manifest <file> --url <service> --rows <csv> [--submit]`.
 * It decides by the manifest alone what code it gives its rows to. Prints the joint statistic.
 */
import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import type { VerifiedPeer } from '@cloister/attestation';
import { encodeHex } from '@cloister/bytes';
import { createChannel } from '@cloister/channel';
import { verifyService } from '@cloister/client';
import { sha256, signJws } from '@cloister/crypto';
import { createHttpClient, loadTrust, nodeChannelPrimitives } from '@cloister/service';
import type { Statement } from './src/app.ts';

const COMPUTATION = 'exposures-2026-q3';
/** How long to wait for the other bank's rows. */
const PATIENCE_MS = 20_000;

const { values } = parseArgs({
  options: {
    name: { type: 'string', default: '' },
    key: { type: 'string', default: '' },
    manifest: { type: 'string', default: '' },
    url: { type: 'string', default: '' },
    rows: { type: 'string', default: '' },
  },
});
const now = (): Date => new Date();
const random = (length: number) => new Uint8Array(randomBytes(length));
const transport = createHttpClient();

// 1. The agreement, signed by both banks: which code, and on which machines.
const manifest = await loadTrust({
  manifestFile: values.manifest,
  readFile: (path) => readFile(path, 'utf8'),
  ownParty: values.name,
});

// 2. Is that code running there? Fresh evidence, judged on this machine.
const verification = await verifyService({
  baseUrl: values.url,
  service: 'joint-analytics',
  manifest,
  transport,
  now,
  random,
});
if (!verification.ok) {
  process.stderr.write(`${values.name}: not trusted, nothing was sent (${verification.code})\n`);
  process.exit(2);
}

// 3. A channel into it, and to nothing else.
const fetch = openChannel(verification.claims);
const rows = new Uint8Array(await readFile(values.rows));
const given = await fetch(await signed('PUT', '/rows', rows));
if (given.status !== 201 && given.status !== 409) fail(await given.text());
for (const deadline = Date.now() + PATIENCE_MS; ; await delay(100)) {
  const answer = await fetch(await signed('GET', '', new Uint8Array()));
  if (answer.status === 200) {
    process.stdout.write(`${await answer.text()}\n`);
    break;
  }
  if (answer.status !== 404 || Date.now() > deadline) fail(await answer.text());
}
transport.close();

function openChannel(peer: VerifiedPeer) {
  const url = `${values.url}/.well-known/ohttp-gateway`;
  const primitives = nodeChannelPrimitives();
  return createChannel({ peer, url, transport, now, random, primitives });
}

/** A request with this bank's signature over computation and content. */
async function signed(method: string, path: string, content: Uint8Array): Promise<Request> {
  const statement: Statement = {
    computation: COMPUTATION,
    party: values.name,
    sha256: encodeHex(await sha256(content)),
  };
  const pkcs8 = new Uint8Array(await readFile(values.key));
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256' };
  const jws = await signJws({
    alg: 'ES256',
    key: await crypto.subtle.importKey('pkcs8', pkcs8, algorithm, false, ['sign']),
    header: { typ: 'joint-analytics+jws' },
    payload: JSON.stringify(statement),
  });
  return new Request(`https://joint-analytics/computations/${COMPUTATION}${path}`, {
    method,
    headers: { statement: jws },
    ...(method === 'PUT' ? { body: new Uint8Array(content) } : {}),
  });
}

function fail(reason: string): never {
  process.stderr.write(`${values.name}: ${reason}\n`);
  process.exit(1);
}
