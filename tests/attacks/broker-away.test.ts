import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, request as httpRequest, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { createInterface } from 'node:readline';
import { after, before, describe, it } from 'node:test';
import { createChannel } from '@cloister/channel';
import { createRecordsClient, verifyService, type RecordsClient } from '@cloister/client';
import { createHttpClient } from '@cloister/service';
import { openAccounts } from '../../apps/cli/src/local/accounts.ts';
import { startDeployment, type Deployment } from '../../apps/cli/src/local/deployment.ts';
import { entryOf } from '../../apps/cli/src/local/places.ts';
import { anyPorts } from '../../apps/cli/src/local/ports.ts';
import { random, readTrust } from '../../apps/cli/src/local-trust.ts';
import { until } from '../conformance/manifest-scene.ts';

/** Seconds: long enough for what is done while the broker is away, on a busy machine too. */
const LEASE = 24;

/** What the host puts under a process: a wall clock that runs so many milliseconds ahead as a file says. */
const hostClock = (file: string): string => `
  import { readFileSync } from 'node:fs';
  const Real = Date;
  const now = () => Real.now() + Number(readFileSync(${JSON.stringify(file)}, 'utf8'));
  globalThis.Date = class extends Real {
    constructor(...given) {
      super(...(given.length === 0 ? [now()] : given));
    }
    static now() {
      return now();
    }
  };
`;

/** The way to a broker, which can be cut: then nobody answers behind it. */
interface Way {
  readonly url: string;
  readonly server: Server;
  isCut: boolean;
  /** How many questions were not let through. */
  refused: number;
}

async function openWay(target: string): Promise<Way> {
  const server = createServer((incoming, outgoing) => {
    if (way.isCut) {
      way.refused += 1;
      incoming.socket.destroy();
      return;
    }
    const { method, headers } = incoming;
    const onward = httpRequest(`${target}${incoming.url}`, { method, headers }, (answer) => {
      outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(outgoing);
    });
    onward.on('error', () => outgoing.destroy());
    incoming.pipe(onward);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const way: Way = { url: `http://127.0.0.1:${port}`, server, isCut: false, refused: 0 };
  return way;
}

const addPatient = (records: RecordsClient, mrn: string) =>
  records.createPatient({
    family: 'Away',
    given: mrn,
    gender: 'other',
    birthDate: '2000-01-01',
    mrn,
  });

describe("the hospital's key broker away", () => {
  const folder = mkdtempSync(join(tmpdir(), 'cloister-away-'));
  const transport = createHttpClient();
  const offset = join(folder, 'clock-offset');
  const setClock = (ms: number): void => writeFileSync(offset, String(ms));
  let deployment: Deployment;
  let way: Way;
  const children = new Set<ChildProcess>();
  before(async () => {
    setClock(0);
    writeFileSync(join(folder, 'clock.mjs'), hostClock(offset));
    deployment = await startDeployment({
      folder,
      ports: await anyPorts(),
      portal: false,
      without: ['records'],
      lease: LEASE,
      tell: () => undefined,
    });
    way = await openWay(deployment.urls.brokers.hospital);
  });
  after(async () => {
    for (const child of children) child.kill('SIGKILL');
    transport.close();
    way.server.closeAllConnections();
    way.server.close();
    await deployment.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  /** Starts `records`, and hands on each line that it writes. */
  function start(onLine: (line: string) => void): void {
    const { places, urls } = deployment;
    const conditions = process.execArgv.filter((arg) => arg.startsWith('--conditions'));
    const settings = {
      '--data': join(folder, 'records-data'),
      '--platform': places.platform,
      '--manifest': places.manifest,
      '--attestation': urls.attestation,
      '--inference': urls.inference,
      '--brokers': `hospital=${way.url},diagnostics=${urls.brokers.diagnostics}`,
      '--accounts': openAccounts(places).file,
    };
    const clock = ['--import', pathToFileURL(join(folder, 'clock.mjs')).href];
    const given = Object.entries(settings).flat();
    const args = [...conditions, ...clock, entryOf('records'), ...given];
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    children.add(child);
    createInterface(child.stdout).on('line', onLine);
  }

  async function signIn(url: string): Promise<RecordsClient> {
    const given = { transport, now: () => new Date(), random };
    const verdict = await verifyService({
      ...given,
      baseUrl: url,
      service: 'records',
      manifest: await readTrust(deployment.places.manifest),
      attestationUrl: deployment.urls.attestation,
    });
    assert.ok(verdict.ok);
    const [account] = deployment.accounts;
    const gateway = `${url}/.well-known/ohttp-gateway`;
    const records = createRecordsClient(
      createChannel({ ...given, peer: verdict.claims, url: gateway, kems: ['x-wing'] }),
    );
    await records.signIn(account?.user ?? '', account?.password ?? '');
    return records;
  }

  it('at the start is waited for, and during the run bridged by the lease, and no longer', async () => {
    way.isCut = true;
    const lines: string[] = [];
    const waiting = Promise.withResolvers<undefined>();
    const listening = Promise.withResolvers<string>();
    start((line) => {
      lines.push(line);
      if (line.includes('"event":"lease_failed"') && way.refused > 1) waiting.resolve(undefined);
      const [, url] = /^listening on (\S+)$/.exec(line) ?? [];
      if (url !== undefined) listening.resolve(url);
    });
    // It says that it waits, and has no key, so it does not listen.
    await waiting.promise;
    assert.ok(!lines.some((line) => line.startsWith('listening on')));
    assert.ok([...children].every(({ exitCode }) => exitCode === null));
    way.isCut = false;
    const url = await listening.promise;
    const records = await signIn(url);
    await addPatient(records, 'BEFORE');

    way.isCut = true;
    way.server.closeAllConnections();
    await addPatient(records, 'MEANWHILE');
    const found = await records.searchPatients('Away');
    assert.deepEqual(new Set(found.map(({ mrn }) => mrn)), new Set(['BEFORE', 'MEANWHILE']));
    // A new reader too: what it verifies is what the heads of the last minutes say.
    await signIn(url);
    const readiness = async (): Promise<number> =>
      (await transport(new Request(`${url}/health/ready`))).status;
    assert.equal(await readiness(), 200);

    // The host has two ways to keep time from passing: to withhold the heads, and to set its clock back.
    setClock(-3_600_000);
    // The lease ends all the same, and with it the use of what was released.
    await until(readiness, (status) => status === 503, 4 * LEASE * 1000);
    await assert.rejects(records.searchPatients('Away'));
    await assert.rejects(addPatient(records, 'TOO LATE'));

    way.isCut = false;
    await until(readiness, (status) => status === 200, 4 * LEASE * 1000);
    await addPatient(records, 'AFTER');
    const all = (await records.searchPatients('Away')).map(({ mrn }) => mrn);
    assert.deepEqual(new Set(all), new Set(['BEFORE', 'MEANWHILE', 'AFTER']));
  });
});
