import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { signHead, type Head } from '@cloister/attestation';
import { encodeBase64url, type JsonObject } from '@cloister/bytes';
import { signPartyStatement } from '@cloister/client';
import { createWorld, random, type RunningBroker, type World } from '../scene.test.ts';

const WITNESS = '/v1/witness';
const hospitalOf = (world: World): RunningBroker => world.running.get('hospital') ?? assert.fail();

/** Something happens in the broker that the world knows, and its witness hears of it. */
async function goOn(world: World): Promise<void> {
  const identity = await world.identity('records');
  const query = { name: 'tenant-key', service: 'records', identity };
  assert.ok((await world.client('hospital').fetchSecret(query)).ok);
  world.pass(61);
  await world.tick();
}

/** Something happens in a copy, which nobody else hears of. */
async function write({ broker }: RunningBroker): Promise<void> {
  const digest = 'ab'.repeat(32);
  const said = {
    event: 'counter-advanced',
    name: 'x',
    value: 1,
    digest,
    service: 'records',
  } as const;
  await broker.requireOpen().journal.append(() => ({ events: [said], result: undefined }));
}

const sizeOf = ({ broker }: RunningBroker): number => broker.requireOpen().journal.tree.size;

/** A copy of the hospital's broker that runs beside it, and that no one can tell from it yet. */
async function startCopy(
  world: World,
  transport?: (request: Request) => Promise<Response>,
): Promise<RunningBroker> {
  const folder = world.backup('hospital', 'copy');
  const rest = transport === undefined ? {} : { transport };
  const copy = await world.start('hospital', { folder, listed: false, ...rest });
  await copy.duties.tick();
  assert.equal(copy.broker.phase, 'active');
  return copy;
}

/** That the copy serves nothing more, and the original does. */
async function assertCopyStopped(world: World, copy: RunningBroker): Promise<void> {
  assert.equal(copy.broker.phase, 'behind-witness');
  assert.throws(() => copy.broker.requireActive(), { code: 'behind_witness' });
  assert.equal(await copy.broker.issueHead(), undefined);
  await world.tick();
  assert.equal(hospitalOf(world).broker.phase, 'active');
  await copy.store.close();
  await world.close();
}

describe('two running copies of one broker', () => {
  it('are told apart though the copy has the longer log', async () => {
    const world = await createWorld();
    const copy = await startCopy(world);
    await goOn(world);
    while (sizeOf(copy) <= sizeOf(hospitalOf(world))) await write(copy);
    world.pass(61);
    await copy.duties.tick();
    await assertCopyStopped(world, copy);
  });

  it('are told apart though both logs are of one length', async () => {
    const world = await createWorld();
    const copy = await startCopy(world);
    await goOn(world);
    while (sizeOf(copy) < sizeOf(hospitalOf(world))) await write(copy);
    assert.equal(sizeOf(copy), hospitalOf(world).broker.gate.seen?.logSize);
    world.pass(61);
    await copy.duties.tick();
    await assertCopyStopped(world, copy);
  });

  it('are told apart where the original goes on between two words of the copy', async () => {
    const world = await createWorld();
    let isRacing = false;
    const copy = await startCopy(world, async (request) => {
      const body = new URL(request.url).pathname === WITNESS ? await request.clone().text() : '';
      if (isRacing && body.includes('"head"')) {
        isRacing = false;
        await goOn(world);
      }
      return world.transport(request);
    });
    await write(copy);
    world.pass(61);
    isRacing = true;
    await copy.duties.tick();
    await assertCopyStopped(world, copy);
  });
});

/** What a head says, without its signature. */
function headOf({ deployment, party, manifest, serial, time, logSize, logRoot }: Head): Head {
  return { deployment, party, manifest, serial, time, logSize, logRoot };
}

/** Shows the witness a head by the key of the hospital's broker, and gives the status of its answer. */
async function ask(world: World, head: Head, override?: readonly string[]): Promise<number> {
  const { keys } = hospitalOf(world).broker.requireOpen();
  const question = {
    party: 'hospital',
    nonce: encodeBase64url(random(32)),
    head: await signHead(head, keys.signing),
    proof: [],
    ...(override === undefined ? {} : { override }),
  };
  const body = JSON.stringify(question);
  const url = `https://diagnostics.example${WITNESS}`;
  return (await world.transport(new Request(url, { method: 'POST', body }))).status;
}

describe('a witness', () => {
  it('takes no head that goes back in time, in manifest or beside the one that it saw', async () => {
    const world = await createWorld();
    await world.agree(world.next({ lease: 600 }));
    await goOn(world);
    const seen = hospitalOf(world).broker.gate.seen ?? assert.fail();
    assert.equal(seen.serial, 2);
    const show = (changes: Partial<Head>) => ask(world, { ...headOf(seen), ...changes });
    assert.equal(await show({ time: seen.time - 1 }), 409);
    assert.equal(await show({ time: seen.time + 1, serial: 1 }), 409);
    assert.equal(await show({ time: seen.time + 1, logRoot: 'cd'.repeat(32) }), 409);
    assert.equal(await show({ time: seen.time + 1, logSize: seen.logSize - 1 }), 409);
    assert.equal(await show({ time: seen.time + 1 }), 200);
    await world.close();
  });

  it('lets the party give up the very head that it saw, and no other', async () => {
    const world = await createWorld();
    await goOn(world);
    const seen = hospitalOf(world).broker.gate.seen ?? assert.fail();
    const next = { ...headOf(seen), time: seen.time + 1, logRoot: 'cd'.repeat(32) };
    const [key = assert.fail()] = world.voice('hospital').keys;
    const say = async (abandoned: JsonObject, logSize = next.logSize): Promise<string[]> => [
      await signPartyStatement(
        {
          purpose: 'override-witness',
          party: 'hospital',
          manifest: world.manifest.id,
          abandoned,
          logSize,
          logRoot: next.logRoot,
          reason: 'the disk is lost',
        },
        key,
      ),
    ];
    const { logSize, logRoot } = seen;
    assert.equal(await ask(world, next, await say({ logSize, logRoot: 'ab'.repeat(32) })), 409);
    assert.equal(await ask(world, next, await say({ logSize: logSize + 1, logRoot })), 409);
    assert.equal(await ask(world, next, await say({ logSize, logRoot }, logSize + 1)), 409);
    assert.equal(await ask(world, next, await say({ logSize, logRoot })), 200);
    await world.close();
  });
});
