import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, describe, it } from 'node:test';
import { parseJsonObject } from '@cloister/bytes';
import { createChannel } from '@cloister/channel';
import {
  BrokerClient,
  createRecordsClient,
  type RecordsClient,
  verifyService,
} from '@cloister/client';
import { createHttpClient } from '@cloister/service';
import { openAccounts } from '../../apps/cli/src/local/accounts.ts';
import { startDeployment, type Deployment } from '../../apps/cli/src/local/deployment.ts';
import { openParties } from '../../apps/cli/src/local/parties.ts';
import { entryOf } from '../../apps/cli/src/local/places.ts';
import { anyPorts } from '../../apps/cli/src/local/ports.ts';
import { random, readTrust } from '../../apps/cli/src/local-trust.ts';
import { until } from '../conformance/manifest-scene.ts';

const conditions = process.execArgv.filter((arg) => arg.startsWith('--conditions'));

/** A records process: it listens, or it has ended and said why. */
interface Started {
  readonly url: string | undefined;
  readonly code: number | null;
  readonly said: string;
  stop(): Promise<void>;
}

const addPatient = (records: RecordsClient, mrn: string) =>
  records.createPatient({
    family: 'Rollback',
    given: mrn,
    gender: 'other',
    birthDate: '2000-01-01',
    mrn,
  });
function refuses({ code, said, url }: Started): string {
  assert.equal(url, undefined);
  assert.equal(code, 3);
  assert.equal(said.trim().split('\n').length, 1, said);
  return said;
}
const statementOf = (said: string): string => /\{.*\}/.exec(said)?.[0] ?? assert.fail(said);

/** A host that has the disk of records, and puts back what it kept of it. */
describe('a database that the host puts back', () => {
  const folder = mkdtempSync(join(tmpdir(), 'cloister-rollback-'));
  const data = join(folder, 'records-data');
  const database = join(data, 'records.db');
  const transport = createHttpClient();
  const children = new Set<ChildProcess>();
  let deployment: Deployment;

  before(async () => {
    deployment = await startDeployment({
      folder,
      ports: await anyPorts(),
      portal: false,
      // One log has one counter: these tests start records themselves.
      without: ['records'],
      tell: () => undefined,
    });
  });
  after(async () => {
    for (const child of children) child.kill('SIGKILL');
    transport.close();
    await deployment.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  async function start(...more: readonly string[]): Promise<Started> {
    const { places, urls } = deployment;
    const args = [
      '--data',
      data,
      '--platform',
      places.platform,
      '--manifest',
      places.manifest,
      '--attestation',
      urls.attestation,
      '--inference',
      urls.inference,
      '--brokers',
      Object.entries(urls.brokers)
        .map((broker) => broker.join('='))
        .join(','),
      '--accounts',
      openAccounts(places).file,
      ...more,
    ];
    const child = spawn(process.execPath, [...conditions, entryOf('records'), ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    children.add(child);
    let said = '';
    child.stderr.on('data', (part: Buffer) => (said += part.toString()));
    const ended = once(child, 'exit').then(() => undefined);
    const listening = new Promise<string>((resolve) => {
      createInterface(child.stdout).on('line', (line) => {
        if (line.startsWith('listening on ')) resolve(line.slice('listening on '.length));
      });
    });
    const url = await Promise.race([listening, ended]);
    return {
      url,
      code: child.exitCode,
      said,
      async stop() {
        child.kill('SIGTERM');
        await ended;
        children.delete(child);
      },
    };
  }
  async function signedIn({ url, said }: Started): Promise<RecordsClient> {
    assert.ok(url !== undefined, said);
    const manifest = await readTrust(deployment.places.manifest);
    const given = { transport, now: () => new Date(), random };
    const verdict = await verifyService({
      ...given,
      baseUrl: url,
      service: 'records',
      manifest,
      attestationUrl: deployment.urls.attestation,
    });
    assert.ok(verdict.ok);
    const records = createRecordsClient(
      createChannel({
        ...given,
        peer: verdict.claims,
        url: `${url}/.well-known/ohttp-gateway`,
        kems: ['x-wing'],
      }),
    );
    const [account] = deployment.accounts;
    await records.signIn(account?.user ?? '', account?.password ?? '');
    return records;
  }
  /** A copy, taken while nobody has the database open: then all of it is in one file. */
  const keep = (name: string): void => {
    cpSync(database, join(folder, `${name}.db`));
  };
  const putBack = (name: string): void => {
    for (const part of ['', '-wal', '-shm']) rmSync(`${database}${part}`, { force: true });
    cpSync(join(folder, `${name}.db`), database);
  };
  /** A party tells the hospital's broker to go on with the log that records found. */
  async function giveUp(party: 'hospital' | 'platform', statement: string): Promise<void> {
    const { from, value, digest } = parseJsonObject(statement);
    assert.ok(typeof from === 'number' && typeof value === 'number' && typeof digest === 'string');
    const broker = new BrokerClient({
      baseUrl: deployment.urls.brokers.hospital,
      manifest: await readTrust(deployment.places.manifest),
      transport,
      now: () => new Date(),
      random,
    });
    const { [party]: key } = await openParties(deployment.places.parties);
    const reason = 'the newest backup is of yesterday';
    const reset = { from, value, digest, reason };
    await broker.resetCounter('records-log', reset, { party, keys: [key.privateKey] });
  }

  it('is noticed at the start, and gone on with only by the word of the hospital', async () => {
    let running = await start();
    await addPatient(await signedIn(running), 'OLD');
    await running.stop();
    keep('old');
    running = await start();
    await addPatient(await signedIn(running), 'NEW');
    await running.stop();
    keep('new');

    putBack('old');
    const said = refuses(await start());
    assert.match(said, /older than what was anchored \(log_truncated/);
    assert.match(said, /Bring back the newest copy of the database/);

    // The party that runs the host cannot say it.
    await assert.rejects(giveUp('platform', statementOf(said)), { name: 'ClientError' });
    refuses(await start());

    await giveUp('hospital', statementOf(said));
    running = await start();
    const records = await signedIn(running);
    assert.deepEqual(
      (await records.searchPatients('Rollback')).map(({ mrn }) => mrn),
      ['OLD'],
    );
    await running.stop();

    // It was said of that state: for the older one again it does not hold, nor for what was given up.
    keep('restored');
    putBack('old');
    refuses(await start());
    putBack('new');
    assert.match(refuses(await start()), /entry_replaced|log_truncated/);
    putBack('restored');
    running = await start();
    await signedIn(running);
    await running.stop();
  });

  it('is noticed within seconds while records runs', async () => {
    const running = await start();
    const records = await signedIn(running);
    putBack('old');
    // The database is looked at every two seconds, the counter every five.
    await until(
      async () => (await transport(new Request(`${running.url}/health/ready`))).status,
      (status) => status === 503,
      15_000,
    );
    await assert.rejects(records.searchPatients('Rollback'), { status: 500 });
    // Refused as well, and it cannot be looked up whether it was done.
    await assert.rejects(addPatient(records, 'LATE'), { code: 'unsure' });
    await running.stop();
    refuses(await start());
  });
});
