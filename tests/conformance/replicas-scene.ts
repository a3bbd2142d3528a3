/** Several processes of records over one PostgreSQL behind a TCP balancer: for the tests of replicas. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { VerifiedPeer } from '@cloister/attestation';
import { type Bytes, type JsonObject, parseJsonObject } from '@cloister/bytes';
import { ChannelError, createChannel, type Fetch } from '@cloister/channel';
import { verifyService } from '@cloister/client';
import { createHttpClient, type HttpClient } from '@cloister/service';
import { random, readTrust } from '../../apps/cli/src/local-trust.ts';
import { openAccounts } from '../../apps/cli/src/local/accounts.ts';
import { startDeployment, type Deployment } from '../../apps/cli/src/local/deployment.ts';
import { entryOf } from '../../apps/cli/src/local/places.ts';
import { anyPorts } from '../../apps/cli/src/local/ports.ts';
import { Supervisor, type Running } from '../../apps/cli/src/local/supervisor.ts';
import {
  startPostgres,
  type PostgresServer,
} from '../../packages/service/src/store/postgres-server.test.ts';

/** A plain TCP balancer: each connection to the next replica; where that is gone, to the one after. */
class Balancer {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #turn = 0;
  /** Connections that a replica ended while its client still held them. */
  broken = 0;
  /** Ports of the replicas. */
  replicas: readonly number[] = [];

  constructor() {
    this.#server = createServer((client) => {
      this.#sockets.add(client);
      client.on('close', () => this.#sockets.delete(client));
      client.on('error', () => client.destroy());
      this.#connect(client, this.#turn++, this.replicas.length);
    });
  }

  #connect(client: Socket, turn: number, tries: number): void {
    const port = this.replicas[turn % this.replicas.length];
    if (port === undefined || tries === 0) return void client.destroy();
    const replica = connect(port, '127.0.0.1');
    let open = false;
    replica.on('connect', () => {
      open = true;
      client.pipe(replica).pipe(client);
    });
    replica.on('error', () => {
      if (open) client.destroy();
      else this.#connect(client, turn + 1, tries - 1);
    });
    replica.on('close', () => {
      if (!open) return;
      if (!client.destroyed) this.broken += 1;
      client.destroy();
    });
    client.on('close', () => replica.destroy());
  }

  async listen(): Promise<string> {
    await new Promise<void>((resolve) => {
      this.#server.listen(0, '127.0.0.1', resolve);
    });
    const address = this.#server.address();
    assert.ok(typeof address === 'object' && address !== null);
    return `http://127.0.0.1:${address.port}`;
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
    });
  }
}

/** A replica of records, as a process. */
export interface Replica extends Running {
  readonly port: number;
  /** As when its machine loses power. */
  kill(): Promise<void>;
}

/** What the tests of replicas work with. */
export interface Scene {
  readonly deployment: Deployment;
  readonly postgres: PostgresServer;
  readonly balancer: Balancer;
  /** The address of the balancer. */
  readonly url: string;
  readonly transport: HttpClient;
  /** Starts a replica, of other code where told; the balancer learns of it only when told. */
  startReplica(name: string, entry?: string): Promise<Replica>;
  /** Verifies records at an address. */
  verify(baseUrl: string): Promise<VerifiedPeer>;
  /** A channel to a verified peer, by an address that may be another one's. */
  channel(peer: VerifiedPeer, baseUrl: string, transport?: Fetch): Fetch;
  stop(): Promise<void>;
}

/** Starts a database server, a deployment without records and a balancer. */
export async function startScene(): Promise<Scene> {
  const postgres = startPostgres();
  const folder = mkdtempSync(join(tmpdir(), 'cloister-replicas-'));
  const deployment = await startDeployment({
    folder,
    ports: await anyPorts(),
    portal: false,
    // One log has one counter: the replicas are the only records of this deployment.
    without: ['records'],
    tell: () => undefined,
  });
  const { places, urls } = deployment;
  const supervisor = new Supervisor(places.logs);
  const balancer = new Balancer();
  const transport = createHttpClient({ timeoutMs: 90_000 });
  const manifest = await readTrust(places.manifest);
  const shared = join(folder, 'shared');
  mkdirSync(shared);
  return {
    deployment,
    postgres,
    balancer,
    url: await balancer.listen(),
    transport,
    async startReplica(name, entry = entryOf('records')) {
      const running = await supervisor.start(name, entry, [
        '--data',
        join(folder, name),
        '--postgres',
        postgres.url,
        '--blobs',
        join(shared, 'blobs'),
        '--brokers',
        Object.entries(urls.brokers)
          .map((broker) => broker.join('='))
          .join(','),
        '--platform',
        places.platform,
        '--manifest',
        places.manifest,
        '--attestation',
        urls.attestation,
        '--inference',
        urls.inference,
        '--accounts',
        openAccounts(places).file,
      ]);
      return {
        ...running,
        port: Number(new URL(running.url).port),
        async kill() {
          process.kill(running.pid, 'SIGKILL');
          await running.stop();
        },
      };
    },
    async verify(baseUrl) {
      const verdict = await verifyService({
        baseUrl,
        service: 'records',
        manifest,
        attestationUrl: urls.attestation,
        transport,
        now: () => new Date(),
        random,
      });
      assert.ok(verdict.ok, JSON.stringify(verdict.checks));
      return verdict.claims;
    },
    channel: (peer, baseUrl, by = transport) =>
      createChannel({
        peer,
        url: `${baseUrl}/.well-known/ohttp-gateway`,
        transport: by,
        now: () => new Date(),
        random,
        kems: ['x-wing'],
      }),
    async stop() {
      transport.close();
      await balancer.close();
      await supervisor.stop();
      await deployment.stop();
      postgres.remove();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Sends requests as a client does that asks again once: as a new message, where no answer came. */
export class Caller {
  readonly #fetch: Fetch;
  readonly #token: string | undefined;
  /** Requests that got no answer the first time. */
  retried = 0;

  constructor(fetch: Fetch, token?: string) {
    this.#fetch = fetch;
    this.#token = token;
  }

  async call(
    method: string,
    path: string,
    { body, headers = {} }: { body?: JsonObject | Bytes; headers?: Record<string, string> } = {},
  ): Promise<{ status: number; json: JsonObject }> {
    const request = (): Request =>
      new Request(`https://records${path}`, {
        method,
        headers: {
          ...(body === undefined ? {} : { 'content-type': 'application/fhir+json' }),
          ...(this.#token === undefined ? {} : { authorization: `Bearer ${this.#token}` }),
          ...headers,
        },
        ...(body === undefined
          ? {}
          : { body: body instanceof Uint8Array ? body : JSON.stringify(body) }),
      });
    const first = await this.#once(request());
    if (first !== undefined) return first;
    this.retried += 1;
    return (await this.#once(request())) ?? assert.fail('the same request failed twice');
  }

  /** The answer; undefined where none came, or where what came was sent twice on the way. */
  async #once(request: Request): Promise<{ status: number; json: JsonObject } | undefined> {
    let answer: Response;
    try {
      answer = await this.#fetch(request);
    } catch (error) {
      if (error instanceof ChannelError && error.code === 'transport_failed') return undefined;
      throw error;
    }
    const text = await answer.text();
    const isJson = /json/.test(answer.headers.get('content-type') ?? '');
    const json = isJson ? parseJsonObject(text) : {};
    return answer.status === 409 && text.includes('replayed')
      ? undefined
      : { status: answer.status, json };
  }
}

/** Reads an event stream as it comes. */
export class EventReader {
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  readonly ids: number[] = [];
  #text = '';

  constructor(response: Response) {
    assert.equal(response.status, 200);
    this.#reader = response.body?.getReader() ?? assert.fail('no body');
  }

  /** Reads on until an event is what is looked for. */
  async until(found: (data: JsonObject) => boolean): Promise<void> {
    for (;;) {
      for (let end = this.#text.indexOf('\n\n'); end >= 0; end = this.#text.indexOf('\n\n')) {
        const lines = this.#text.slice(0, end).split('\n');
        this.#text = this.#text.slice(end + 2);
        const valueOf = (name: string) =>
          lines.find((line) => line.startsWith(`${name}: `))?.slice(name.length + 2);
        const [id, data] = [valueOf('id'), valueOf('data')];
        if (id === undefined || data === undefined) continue;
        this.ids.push(Number(id));
        if (found(parseJsonObject(data))) return;
      }
      const { done, value } = await this.#reader.read();
      if (done) assert.fail('the stream ended');
      this.#text += new TextDecoder().decode(value);
    }
  }

  cancel(): Promise<void> {
    return this.#reader.cancel();
  }
}
