import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { createServer, request as httpRequest, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { createChannel } from '@cloister/channel';
import { createRecordsClient, verifyService } from '@cloister/client';
import { createHttpClient } from '@cloister/service';
import { drawPhantom } from '../../apps/cli/src/demo/phantom.ts';
import { startDeployment, type Deployment } from '../../apps/cli/src/local/deployment.ts';
import { anyPorts } from '../../apps/cli/src/local/ports.ts';
import { random, readTrust } from '../../apps/cli/src/local-trust.ts';

const CANARY = `CANARY${Buffer.from(random(6)).toString('hex').toUpperCase()}`;
/** The name as it might be written down: as it is, in either base64, in hex, in UTF-16. */
const SPELLINGS = [
  Buffer.from(CANARY),
  Buffer.from(CANARY.toLowerCase()),
  ...[0, 1, 2].map((pad) =>
    Buffer.from(
      Buffer.from(`${'x'.repeat(pad)}${CANARY}`)
        .toString('base64')
        .slice(4, 12),
    ),
  ),
  Buffer.from(Buffer.from(CANARY).toString('hex')),
  Buffer.from(CANARY, 'utf16le'),
];

/** A host that passes everything on and keeps all it saw. */
async function startWiretap(
  target: string,
  seen: Buffer[],
): Promise<{ server: Server; url: string }> {
  const server = createServer((incoming, outgoing) => {
    seen.push(
      Buffer.from(`${incoming.method} ${incoming.url} ${JSON.stringify(incoming.headers)}`),
    );
    const onward = httpRequest(
      `${target}${incoming.url}`,
      { method: incoming.method, headers: incoming.headers },
      (answer) => {
        seen.push(Buffer.from(JSON.stringify(answer.headers)));
        outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
        answer.on('data', (part: Buffer) => seen.push(part));
        answer.pipe(outgoing);
      },
    );
    onward.on('error', () => outgoing.destroy());
    incoming.on('data', (part: Buffer) => seen.push(part));
    incoming.pipe(onward);
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const address = server.address();
  assert.ok(typeof address === 'object' && address !== null);
  return { server, url: `http://127.0.0.1:${address.port}` };
}

describe('a canary patient, on the whole line', () => {
  const folder = mkdtempSync(join(tmpdir(), 'cloister-canary-'));
  const traffic: Buffer[] = [];
  const servers: Server[] = [];
  const transport = createHttpClient();
  let deployment: Deployment;
  before(async () => {
    deployment = await startDeployment({
      folder,
      ports: await anyPorts(),
      portal: false,
      metrics: true,
      between: async (_name, url) => {
        const tap = await startWiretap(url, traffic);
        servers.push(tap.server);
        return tap.url;
      },
      tell: () => {},
    });
  });
  after(async () => {
    transport.close();
    for (const server of servers) {
      server.closeAllConnections();
      server.close();
    }
    await deployment.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  it('is found nowhere outside the channel', async () => {
    const manifest = await readTrust(deployment.places.manifest);
    const tap = await startWiretap(deployment.urls.records, traffic);
    servers.push(tap.server);
    const verified = await verifyService({
      baseUrl: tap.url,
      service: 'records',
      manifest,
      attestationUrl: deployment.urls.attestation,
      transport,
      now: () => new Date(),
      random,
    });
    assert.ok(verified.ok);
    const records = createRecordsClient(
      createChannel({
        peer: verified.claims,
        url: `${tap.url}/.well-known/ohttp-gateway`,
        transport,
        now: () => new Date(),
        random,
        kems: ['x-wing'],
      }),
    );
    const [account] = deployment.accounts;
    await records.signIn(account?.user ?? '', account?.password ?? '');
    const patient = await records.createPatient({
      family: CANARY,
      given: CANARY,
      gender: 'female',
      birthDate: '2020-02-02',
      mrn: `${CANARY}-MRN`,
    });
    assert.equal((await records.searchPatients(CANARY)).length, 1, 'it is in the record');
    const stored = await records.uploadImage(patient.id, drawPhantom(), 'image/png');
    const { cursor } = await records.events(0, 0);
    const task = await records.requestDiagnosis(stored.study, patient.id);
    for (let at = cursor; ; ) {
      const batch = await records.events(at, 25);
      at = batch.cursor;
      if (batch.events.some(({ kind }) => /ready|failed|rejected/.test(kind))) break;
    }
    assert.equal((await records.readTask(task.id)).status, 'completed');
    // Errors too: what is refused must not be echoed outside, nor logged.
    await assert.rejects(records.read('Patient', `${CANARY}-unknown`));
    await assert.rejects(
      records.search('Patient', { _id: `${CANARY} '"<` }).then((found) => {
        assert.equal(found.length, 0);
        throw new TypeError('nothing found');
      }),
    );
    const metrics = await Promise.all(
      deployment.metrics.map(async (url) =>
        Buffer.from(await (await transport(new Request(`${url}/metrics`))).arrayBuffer()),
      ),
    );
    assert.equal(metrics.length, 5);
    await deployment.stop();

    const places = [
      ...filesBelow(folder).map((file) => ({
        where: file.slice(folder.length),
        bytes: Buffer.concat([Buffer.from(file), readFileSync(file)]),
      })),
      { where: 'traffic', bytes: Buffer.concat(traffic) },
      ...metrics.map((bytes) => ({ where: 'metrics', bytes })),
    ];
    assert.ok(
      places.some(({ where }) => where.includes('records')),
      'the record lies on disk',
    );
    assert.ok(Buffer.concat(traffic).length > 100_000, 'the traffic was seen');
    for (const { where, bytes } of places) {
      for (const spelling of SPELLINGS) assert.ok(!bytes.includes(spelling), `found in ${where}`);
    }
  });
});

function filesBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .map((name) => join(folder, name))
    .filter((file) => statSync(file).isFile());
}
