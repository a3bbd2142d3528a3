/**
 * A records service without its process: what the tests of routes and jobs drive. Not part of the
 * service.
 */
import assert from 'node:assert/strict';
import { scryptSync } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';
import { crc32, deflateSync } from 'node:zlib';
import {
  asBytes,
  type Bytes,
  encodeBase64url,
  isJsonObject,
  type JsonObject,
  parseJsonObject,
} from '@cloister/bytes';
import {
  type Cache,
  createLog,
  createMemoryCache,
  openSqliteStore,
  type SqliteStoreOptions,
  type Store,
} from '@cloister/service';
import { createApp, type AppDeps } from '../src/app.ts';
import type { RecordsEvents } from '../src/events.ts';
import { ensureOwnResources } from '../src/own-resources.ts';
import type { Account } from '../src/sign-in/accounts.ts';
import { Sessions } from '../src/sign-in/sessions.ts';
import { openBlobFolder } from '../src/store/blob-folder.ts';
import { createImageVault } from '../src/store/image-vault.ts';
import { openLedger } from '../src/store/ledger.ts';
import { random } from './test-replicas.ts';
import { testTenantKey } from './test-tenant-key.ts';

export { random };

const N = 1 << 14;
export function account(user: string, role: Account['role']): Account {
  const salt = random(16);
  const hash = scryptSync(`${user}-password`, salt, 32, { N, r: 8, p: 1 });
  const scrypt = { salt: encodeBase64url(salt), hash: encodeBase64url(hash), N } as const;
  return { user, role, name: `Test ${user}`, scrypt };
}
export const ACCOUNTS = [account('clerk', 'clerk'), account('radiologist', 'radiologist')];
const root = mkdtempSync(join(tmpdir(), 'cloister-app-'));
after(() => rmSync(root, { recursive: true, force: true }));

export interface Running {
  readonly app: ReturnType<typeof createApp>;
  readonly deps: AppDeps;
  readonly folder: string;
  readonly lines: string[];
  readonly tasks: string[];
  readonly close: () => Promise<void>;
  at: Date;
}

export const newFolder = (): string => mkdtempSync(join(root, 'r-'));

/** A service with an embedded database. */
export function start(folder = newFolder(), options: SqliteStoreOptions = {}): Promise<Running> {
  return startOn(openSqliteStore(join(folder, 'records.db'), options), folder);
}

/** A service on a store, which others may share with it. */
export async function startOn(
  store: Store,
  folder: string,
  shared = false,
  given?: Cache,
): Promise<Running> {
  const running = { at: new Date(), lines: [] as string[], tasks: [] as string[] };
  const now = () => running.at;
  const tenantKeys = [await testTenantKey()];
  const ledger = await openLedger({ store, tenant: 'lamna', tenantKeys, random, now, shared });
  const cache = given ?? createMemoryCache({ now });
  const own = await ensureOwnResources(ledger, ACCOUNTS, random);
  const blobs = openBlobFolder(join(folder, 'blobs'));
  const deps: AppDeps = {
    ledger,
    random,
    now,
    ...own,
    sessions: new Sessions({ ledger, accounts: ACCOUNTS, random, now }),
    accounts: ACCOUNTS,
    vault: createImageVault({ blobs, ledger, random }),
    cursorKey: await ledger.ownKey('cursor'),
    onTask: (id) => running.tasks.push(id),
    version: '0.1.0',
    cache,
    log: createLog<RecordsEvents>({
      service: 'records',
      write: (line) => running.lines.push(line),
      now,
    }),
  };
  const close = () => ledger.close();
  return Object.assign(running, { app: createApp(deps), deps, folder, close });
}

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly json: JsonObject;
  readonly bytes: Bytes;
}
export type Client = (
  method: string,
  path: string,
  options?: {
    readonly body?: JsonObject | Uint8Array | string;
    readonly headers?: Record<string, string>;
    readonly encapsulation?: Bytes;
  },
) => Promise<Answer>;

export function client({ app }: Running, token?: string): Client {
  return async (method, path, { body, headers = {}, encapsulation } = {}) => {
    const given = body === undefined || typeof body === 'string' || body instanceof Uint8Array;
    const sent = given ? body : JSON.stringify(body);
    const response = await app.request(
      `https://records${path}`,
      {
        method,
        headers: {
          ...(token ? { authorization: `Bearer ${token}` } : {}),
          ...(given ? {} : { 'content-type': 'application/fhir+json' }),
          ...headers,
        },
        ...(sent === undefined ? {} : { body: typeof sent === 'string' ? sent : asBytes(sent) }),
      },
      encapsulation ? { encapsulation } : {},
    );
    const bytes = new Uint8Array(await response.arrayBuffer());
    const isJson = bytes.length > 0 && /json/.test(response.headers.get('content-type') ?? '');
    const json = isJson ? parseJsonObject(Buffer.from(bytes).toString()) : {};
    return { status: response.status, headers: response.headers, bytes, json };
  };
}

export async function signIn(running: Running, user = 'clerk'): Promise<Client> {
  const { json, status } = await client(running)('POST', '/session', {
    body: JSON.stringify({ user, password: `${user}-password` }),
  });
  assert.equal(status, 200);
  return client(running, textOf(json['token']));
}

export const patient = (mrn: string, family = 'Zhang', given = 'Wei'): JsonObject => ({
  resourceType: 'Patient',
  identifier: [{ system: 'urn:cloister:mrn', value: mrn }],
  name: [{ family, given: [given], text: `${given} ${family}` }],
  gender: 'male',
  birthDate: '1980-02-03',
});
export const idOf = ({ json }: Answer) => textOf(json['id']);
export const entries = ({ json }: Answer) =>
  (Array.isArray(json['entry']) ? json['entry'] : [])
    .filter(isJsonObject)
    .map((e) => e['resource'])
    .filter(isJsonObject);
export const refusal = ({ json }: Answer): unknown => {
  const [issue] = Array.isArray(json['issue']) ? json['issue'] : [];
  const details = isJsonObject(issue) ? issue['details'] : undefined;
  const [coding] =
    isJsonObject(details) && Array.isArray(details['coding']) ? details['coding'] : [];
  return isJsonObject(coding) ? coding['code'] : undefined;
};

const chunk = (type: string, data: Uint8Array) => {
  const body = Buffer.concat([Buffer.from(type), data]);
  const out = Buffer.alloc(body.length + 8);
  out.writeUInt32BE(data.length);
  body.copy(out, 4);
  out.writeUInt32BE(crc32(body), body.length + 4);
  return out;
};

/** A grey PNG whose pixels rise from black to white; every size another picture. */
export function png(width: number, height: number): Bytes {
  const rows = Buffer.concat(
    Array.from({ length: height }, (_, y) =>
      Buffer.from([0, ...Array.from({ length: width }, (_x, x) => (x * 255 + y * 20) / width)]),
    ),
  );
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width);
  header.writeUInt32BE(height, 4);
  header[8] = 8;
  const magic = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
  const parts = [magic, chunk('IHDR', header), chunk('IDAT', deflateSync(rows))];
  return new Uint8Array(Buffer.concat([...parts, chunk('IEND', new Uint8Array(0))]));
}

/** A value that must be a text. */
export const textOf = (value: unknown): string => {
  assert.ok(typeof value === 'string');
  return value;
};
