import assert from 'node:assert/strict';
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, describe, it } from 'node:test';
import { createChannel } from '@cloister/channel';
import { createRecordsClient, type RecordsClient, verifyService } from '@cloister/client';
import { createHttpClient } from '@cloister/service';
import { openAccounts } from '../../apps/cli/src/local/accounts.ts';
import { startDeployment, type Deployment } from '../../apps/cli/src/local/deployment.ts';
import { entryOf, ROOT } from '../../apps/cli/src/local/places.ts';
import { anyPorts } from '../../apps/cli/src/local/ports.ts';
import { random, readTrust } from '../../apps/cli/src/local-trust.ts';

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
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
    const options = { folder, ports: await anyPorts(), portal: false, tell: () => undefined };
    deployment = await startDeployment(options);
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
  const sign = (party: string, statement: string): string =>
    execFileSync(
      process.execPath,
      [
        ...conditions,
        join(ROOT, 'services/records/tools/sign-restore.ts'),
        '--statement',
        statement,
        '--reason',
        'the newest backup is of yesterday',
        '--key',
        join(deployment.places.parties, `${party}.pkcs8`),
      ],
      { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] },
    );

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
    const order = join(folder, 'order');

    // The party that runs the host cannot say it.
    writeFileSync(order, sign('platform', statementOf(said)));
    const foreign = await start('--restore', order);
    assert.equal(foreign.code, 2);
    assert.match(foreign.said, /signed by no key of the hospital/);

    writeFileSync(order, sign('hospital', statementOf(said)));
    running = await start('--restore', order);
    const records = await signedIn(running);
    assert.deepEqual(
      (await records.searchPatients('Rollback')).map(({ mrn }) => mrn),
      ['OLD'],
    );
    const audit = JSON.stringify(await records.search('AuditEvent', { _count: '200' }));
    assert.match(audit, /log-restored/);
    assert.match(audit, /the newest backup is of yesterday/);
    await running.stop();

    // The order was good once: for the older one again it is not, nor for what was given up.
    keep('restored');
    putBack('old');
    refuses(await start('--restore', order));
    putBack('new');
    assert.match(refuses(await start('--restore', order)), /entry_replaced|log_truncated/);
    putBack('restored');
    running = await start();
    await signedIn(running);
    await running.stop();
  });

  it('is noticed where the anchor is taken away', async () => {
    const anchor = join(data, 'secrets', 'records-log-head.sealed');
    renameSync(anchor, `${anchor}.away`);
    assert.match(refuses(await start()), /anchored log head/);
    renameSync(`${anchor}.away`, anchor);
  });

  it('is noticed within seconds while records runs', async () => {
    const running = await start();
    const records = await signedIn(running);
    putBack('old');
    await sleep(3500);
    const ready = await transport(new Request(`${running.url}/health/ready`));
    assert.equal(ready.status, 503);
    await assert.rejects(records.searchPatients('Rollback'), { status: 500 });
    await assert.rejects(addPatient(records, 'LATE'), { status: 500 });
    await running.stop();
    refuses(await start());
  });
});
