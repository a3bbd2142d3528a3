import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { encodePem, type Bytes } from '@cloister/bytes';
import {
  basicConstraintsExtension,
  createCertificate,
  dnsNamesExtension,
  encodeName,
} from '@cloister/crypto';

const CLI = fileURLToPath(new URL('../../apps/cli/src/main.ts', import.meta.url));

/** A service that the command line started. */
export interface Running {
  readonly url: string;
  /** What it wrote on stderr so far. */
  readonly said: () => string;
  readonly stop: () => Promise<number | null>;
}

/** `cloister service attestation …`: resolves when it listens. */
export async function startAttestation(...flags: readonly string[]): Promise<Running> {
  const args = ['--conditions=@cloister/source', CLI, 'service', 'attestation', ...flags];
  const child = spawn(process.execPath, args, {
    env: { PATH: process.env['PATH'] },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let said = '';
  child.stderr.on('data', (text: Buffer) => (said += text.toString()));
  const ended = once(child, 'exit') as Promise<[number | null]>;
  for await (const line of createInterface(child.stdout)) {
    const url = /^listening on (https?:\S+)$/.exec(line)?.[1];
    if (url === undefined) continue;
    child.stdout.resume();
    return {
      url,
      said: () => said,
      stop: async () => {
        child.kill('SIGTERM');
        return (await ended)[0];
      },
    };
  }
  return assert.fail(`the service ended before it listened: ${said}`);
}

/** A port that nobody listens on now. */
export async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  assert.ok(address !== null && typeof address === 'object');
  server.close();
  await once(server, 'close');
  return address.port;
}

/** A key with a self-signed certificate, both as PEM. */
export interface Credentials {
  readonly certificate: string;
  readonly privateKey: string;
  readonly der: Bytes;
}

const ALGORITHMS = {
  RSA: {
    name: 'RSASSA-PKCS1-v1_5',
    hash: 'SHA-256',
    modulusLength: 2048,
    publicExponent: Uint8Array.of(1, 0, 1),
  },
  EC: { name: 'ECDSA', namedCurve: 'P-256' },
} as const;

/** Makes a key and its certificate: that of a CA unless told, or of a server with this name. */
export async function makeCredentials(
  commonName: string,
  {
    type = 'RSA',
    ca = true,
    dns,
  }: { readonly type?: 'RSA' | 'EC'; readonly ca?: boolean; readonly dns?: string } = {},
): Promise<Credentials> {
  const pair = await crypto.subtle.generateKey(ALGORITHMS[type], true, ['sign', 'verify']);
  const name = encodeName({ commonName });
  const der = await createCertificate({
    subject: name,
    issuer: name,
    serial: '01',
    notBefore: new Date(Date.now() - 3_600_000),
    notAfter: new Date(Date.now() + 86_400_000),
    publicKey: new Uint8Array(await crypto.subtle.exportKey('spki', pair.publicKey)),
    signer: pair.privateKey,
    extensions: [
      basicConstraintsExtension({ ca }),
      ...(dns === undefined ? [] : [dnsNamesExtension(dns)]),
    ],
  });
  const pkcs8 = new Uint8Array(await crypto.subtle.exportKey('pkcs8', pair.privateKey));
  return {
    der,
    certificate: encodePem('CERTIFICATE', der),
    privateKey: encodePem('PRIVATE KEY', pkcs8),
  };
}
