import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import { encodeBase64url, type Bytes, type JsonObject } from '@cloister/bytes';
import { createChannel, type Fetch } from '@cloister/channel';
import { signPartyStatement, verifyService, type PartyPurpose } from '@cloister/client';
import { createWorld, random, type PartyName, type World } from '../scene.test.ts';

let world: World;
let channel: Fetch;
before(async () => {
  world = await createWorld();
  const baseUrl = 'https://diagnostics.example';
  const { manifest, transport, now } = world;
  const means = { transport, now, random };
  const verdict = await verifyService({ baseUrl, service: 'key-broker', manifest, ...means });
  assert.ok(verdict.ok);
  const url = `${baseUrl}/.well-known/ohttp-gateway`;
  channel = createChannel({ peer: verdict.claims, url, ...means });
});
after(() => world.close());

const call = async (method: string, path: string, body: object): Promise<string> => {
  const request = { method, body: JSON.stringify(body) };
  const answer = await channel(new Request(`https://key-broker${path}`, request));
  const text = await answer.text();
  if (answer.ok) return text;
  const { type, detail = '' } = JSON.parse(text) as { type: string; detail?: string };
  return `${answer.status} ${type.replace('urn:cloister:', '')} ${detail}`.trim();
};
const nonceOf = async (path = '/v1/challenge/party') =>
  (JSON.parse(await call('POST', path, {})) as { nonce: string }).nonce;
const digestOf = (value: Bytes) => createHash('sha256').update(value).digest('hex');

interface Said {
  readonly purpose?: PartyPurpose;
  readonly party?: string;
  readonly manifest?: string;
  readonly by?: PartyName;
  readonly rest?: JsonObject;
}

/** The body of an import that would be good, with what a test changes. */
async function importBody(value: Bytes, said: Said = {}): Promise<JsonObject> {
  const { purpose = 'import-secret', party = 'diagnostics', by = 'diagnostics', rest = {} } = said;
  const [key] = world.voice(by).keys;
  assert.ok(key);
  const statement = {
    purpose,
    party,
    manifest: said.manifest ?? world.manifest.id,
    nonce: await nonceOf(),
    name: 'model-key',
    digest: digestOf(value),
    ...rest,
  };
  return { statements: [await signPartyStatement(statement, key)], value: encodeBase64url(value) };
}

const PATH = '/v1/secrets/model-key';

describe('what a party says to its broker', () => {
  it('is heard once: the nonce in it is good once', async () => {
    const body = await importBody(random(32));
    assert.equal(await call('PUT', PATH, body), '{"version":1}');
    assert.equal(await call('PUT', PATH, body), '401 nonce_unknown');
  });

  it('is heard soon or not at all', async () => {
    const body = await importBody(random(32));
    world.pass(86_401);
    assert.equal(await call('PUT', PATH, body), '401 nonce_unknown');
  });

  it('is heard a day later: people sign it at several places', async () => {
    const body = await importBody(random(32));
    world.pass(86_000);
    assert.match(await call('PUT', PATH, body), /^{"version"/);
  });

  it('is not heard over a nonce that was given for evidence', async () => {
    const nonce = await nonceOf('/v1/challenge');
    const body = await importBody(random(32), { rest: { nonce } });
    assert.equal(await call('PUT', PATH, body), '401 nonce_unknown');
  });

  for (const [why, said, expected] of [
    ['for another purpose', { purpose: 'rotate-secret' }, '403 statement_refused another purpose'],
    ['of another party', { party: 'hospital' }, '403 statement_refused another party'],
    [
      'under another manifest',
      { manifest: 'cd'.repeat(32) },
      '403 statement_refused another manifest',
    ],
    [
      'signed by another party',
      { by: 'hospital' },
      '403 statement_refused no key of the party signed it',
    ],
    [
      'about another secret',
      { rest: { name: 'other-key' } },
      '403 statement_refused it names another one',
    ],
    [
      'about another value',
      { rest: { digest: 'ab'.repeat(32) } },
      '403 statement_refused another digest',
    ],
    ['with a nonce of its own', { rest: { nonce: 'A'.repeat(43) } }, '401 nonce_unknown'],
    ['with more in it', { rest: { more: 1 } }, '400 malformed request: more'],
  ] as const)
    it(`counts for nothing ${why}`, async () => {
      assert.equal(await call('PUT', PATH, await importBody(random(32), said)), expected);
    });

  it('counts for nothing where the statements differ, or one is no statement', async () => {
    const [one, two] = [await importBody(random(32)), await importBody(random(32))];
    const statements = [one, two].flatMap((body) => body['statements'] as string[]);
    assert.equal(
      await call('PUT', PATH, { ...one, statements }),
      '403 statement_refused the statements differ',
    );
    assert.match(await call('PUT', PATH, { ...one, statements: [] }), /^400 malformed/);
    const bad = { ...one, statements: ['a.b.c'] };
    assert.match(await call('PUT', PATH, bad), /^403 statement_refused/);
  });

  it('is bounded in size', async () => {
    const body = await importBody(random((1 << 16) + 1));
    assert.match(await call('PUT', PATH, body), /^400 malformed/);
    assert.match(await call('PUT', PATH, await importBody(new Uint8Array(0))), /^400 malformed/);
  });
});
