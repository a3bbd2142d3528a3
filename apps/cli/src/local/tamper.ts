import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { join } from 'node:path';
import { isJsonObject, parseJsonObject, type JsonObject } from '@cloister/bytes';
import { createHttpClient } from '@cloister/service';
import { CommandError } from '../command-error.ts';
import { ROOT, type ServiceName } from './places.ts';

/** How one party may cheat in a demo. */
export const TAMPERS = [
  'quote',
  'token',
  'measurement',
  'model',
  'receipt',
  'config',
  'broker',
  'manifest',
  'rollback',
  'replay',
  'stale-head',
  'cache-token',
] as const;
/** One way of cheating. */
export type Tamper = (typeof TAMPERS)[number];

/** A service that runs other code than the published one. */
export interface Variant {
  readonly service: ServiceName;
  /** Whether the parties agreed on it: its measurement then stands in the manifest. */
  readonly agreed: boolean;
  readonly folder: string;
  readonly entry: string;
}

/** How the code of a variant differs. */
export interface VariantOptions {
  readonly service: ServiceName;
  /**
   * `own-keys`: makes keys of its own, as no broker gives it any. `receipt`: signs another output.
   * `release`: does the same as before, and is other code all the same, as the next release is.
   */
  readonly change: 'own-keys' | 'receipt' | 'release';
  readonly agreed: boolean;
}

/** Copies a service's sources and changes them. */
export function makeVariant({ service, change, agreed }: VariantOptions): Variant {
  const source = join(ROOT, 'services', service);
  const folder = join(ROOT, '.cloister', 'variants', `${service}-${process.pid}-${Date.now()}`);
  mkdirSync(folder, { recursive: true });
  cpSync(join(source, 'package.json'), join(folder, 'package.json'));
  cpSync(join(source, 'src'), join(folder, 'src'), { recursive: true });
  const entry = join(folder, 'src', 'main.ts');
  if (change === 'own-keys') useOwnKeys(service, join(folder, 'src'));
  else if (change === 'release') edit(entry, (text) => `${text}\n// The next release.\n`);
  else {
    edit(join(folder, 'src', 'receipt.ts'), (text) =>
      text.replace('    outputDigest,\n', "    outputDigest: '00'.repeat(32),\n"),
    );
  }
  return { service, agreed, folder, entry };
}

/**
 * What a service must do that no broker gives a key to: make one, and believe itself. It can open
 * nothing that was there before, and shows evidence of what it is.
 */
function useOwnKeys(service: ServiceName, source: string): void {
  const records = service === 'records';
  const file = join(source, 'trust', records ? 'open-releases.ts' : 'open-release.ts');
  edit(file, (text) => `${text.replace('keepLease({', 'keepOwnKey({')}${OWN_KEY}`);
  if (!records) return;
  edit(join(source, 'main.ts'), (text) =>
    text.replace(
      '    anchor,\n',
      '    anchor: { read: async () => undefined, advance: async () => true },\n',
    ),
  );
}

const OWN_KEY = `
import { createChannelKeys, exportChannelKeys } from '@cloister/channel';
async function keepOwnKey({ name }: { name: string }): Promise<any> {
  const value =
    name === 'channel-key'
      ? exportChannelKeys(await createChannelKeys({ kem: 'x-wing', keyId: 1 }))
      : crypto.getRandomValues(new Uint8Array(32));
  const secret = { versions: [{ version: 1, value, from: 0 }] };
  const renew = () => Promise.resolve();
  return { name, secret, isRunning: () => true, renew, stop: () => undefined };
}
`;

function edit(file: string, change: (text: string) => string): void {
  const before = readFileSync(file, 'utf8');
  const after = change(before);
  if (after === before) throw new CommandError('the demo cannot change that source any more');
  writeFileSync(file, after);
}

/** Removes what `makeVariant` made. */
export function removeVariant(variant: Variant): void {
  rmSync(variant.folder, { recursive: true, force: true });
}

/** A host that alters what passes through it: the evidence on its way from the provider. */
export async function startTamperingHost(
  target: string,
  tamper: 'quote' | 'token',
): Promise<{ readonly url: string; readonly server: Server }> {
  const forward = createHttpClient();
  const pass = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const answer = await forward(await copyRequest(request, target));
    const body = new Uint8Array(await answer.arrayBuffer());
    const headers = Object.fromEntries(answer.headers);
    delete headers['content-length'];
    delete headers['transfer-encoding'];
    response.writeHead(answer.status, headers);
    response.end(request.url === '/attestation/evidence' ? alter(body, tamper) : body);
  };
  const server = createServer((request, response) => {
    pass(request, response).catch(() => response.writeHead(502).end());
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  return { url: `http://127.0.0.1:${port}`, server };
}

/** What came in, as a request to the target. */
export async function copyRequest(request: IncomingMessage, target: string): Promise<Request> {
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(Buffer.from(part));
  const headers = new Headers();
  for (const name of ['content-type', 'accept', 'incremental']) {
    const value = request.headers[name];
    if (typeof value === 'string') headers.set(name, value);
  }
  const { method = 'GET', url = '/' } = request;
  const body = method === 'GET' || method === 'HEAD' ? null : Buffer.concat(parts);
  return new Request(`${target}${url}`, { method, headers, body });
}

/** Byte of MRENCLAVE in an SGX quote: header 48, MRENCLAVE at 64 of the body. */
const MRENCLAVE_AT = 112;

function alter(body: Uint8Array, tamper: 'quote' | 'token'): Uint8Array {
  const envelope = parseJsonObject(new TextDecoder().decode(body), 'evidence');
  return Buffer.from(
    JSON.stringify(tamper === 'quote' ? alterQuote(envelope) : alterToken(envelope)),
  );
}

function alterQuote(envelope: JsonObject): JsonObject {
  const { evidence } = envelope;
  const quote = Buffer.from(typeof evidence === 'string' ? evidence : '', 'base64url');
  quote[MRENCLAVE_AT] = (quote[MRENCLAVE_AT] ?? 0) ^ 1;
  return { ...envelope, evidence: quote.toString('base64url') };
}

/** The same token with another MRENCLAVE in its claims: the signature no longer fits. */
function alterToken(envelope: JsonObject): JsonObject {
  const list = Array.isArray(envelope['tokens']) ? envelope['tokens'] : [];
  const tokens = list.filter((token) => typeof token === 'string');
  return {
    ...envelope,
    tokens: tokens.map((token) => {
      const [header = '', payload = '', signature = ''] = token.split('.');
      const claims: unknown = JSON.parse(Buffer.from(payload, 'base64url').toString('utf8'));
      const changed = isJsonObject(claims)
        ? { ...claims, 'x-ms-sgx-mrenclave': '00'.repeat(32) }
        : {};
      return `${header}.${Buffer.from(JSON.stringify(changed)).toString('base64url')}.${signature}`;
    }),
  };
}
