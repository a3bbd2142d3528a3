import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { encodeEnvelope, VerificationCache } from '@cloister/attestation';
import { encodeBase64url, type JsonObject } from '@cloister/bytes';
import { signPartyStatement } from '@cloister/client';
import { createCertificationRequest, encodeName } from '@cloister/crypto';
import { createInnerApp } from '../app.ts';
import { Certificates } from '../certificates/certificates.ts';
import { Counters } from '../counters.ts';
import { Recovery } from '../recovery/recovery.ts';
import { Replicas } from '../recovery/replicas.ts';
import { Leases } from '../release/leases.ts';
import { PartySecrets } from '../release/party-secrets.ts';
import { createWorld, p256, random, type World } from '../scene.test.ts';
import { createCallerGate } from '../trust/caller-gate.ts';
import { NonceMemory } from '../trust/nonce-memory.ts';

let world: World;
before(async () => {
  world = await createWorld();
});
after(() => world.close());

/** The application inside the channel, as `build` puts it together. */
function innerApp() {
  const { broker, store, identity } = world.running.get('hospital') ?? assert.fail();
  const clock = (): number => world.at.getTime();
  const nonces = new NonceMemory(random, clock);
  const cache = new VerificationCache();
  const means = { nonces, random, cache };
  const app = createInnerApp(
    {
      broker,
      cache,
      nonces,
      partyNonces: new NonceMemory(random, clock),
      quote: identity,
      secrets: new PartySecrets(broker),
      leases: new Leases(broker, means),
      certificates: new Certificates(broker, means),
      counters: new Counters(broker),
      recovery: new Recovery(broker, { store, random }),
      replicas: new Replicas(broker, { ...means, quote: identity }),
      callers: createCallerGate({ fetchIssuerKeys: async () => [world.issuerJwk], now: world.now }),
    },
    (error) => assert.fail(String(error)),
  );
  return { app, broker };
}

/** What each route that could do something is asked without any proof, and what it answers. */
const ROUTES: Readonly<Record<string, readonly [path: string, body: keyof Bodies, code: string]>> =
  {
    'POST /v1/challenge': ['/v1/challenge', 'nothing', 'ok'],
    'POST /v1/challenge/party': ['/v1/challenge/party', 'nothing', 'ok'],
    // A dry run, and a receipt over where a counter stands.
    'POST /v1/explain': ['/v1/explain', 'explain', 'ok'],
    'POST /v1/counters/:name/read': ['/v1/counters/records-log/read', 'nonce', 'ok'],
    // Evidence of the right code, but not over a nonce of this broker.
    'POST /v1/leases/:name': ['/v1/leases/tenant-key', 'evidence', 'nonce_unknown'],
    'POST /v1/replicas/state-key': ['/v1/replicas/state-key', 'replica', 'nonce_unknown'],
    'POST /v1/certificates': ['/v1/certificates', 'csr', 'nonce_unknown'],
    // No token and no signature.
    'POST /v1/counters/:name': ['/v1/counters/records-log', 'move', 'caller_not_proven'],
    'POST /v1/secrets/:name/rotate': [
      '/v1/secrets/tenant-key/rotate',
      'nothing',
      'caller_not_proven',
    ],
    'DELETE /v1/secrets/:name/versions/:version': [
      '/v1/secrets/tenant-key/versions/1',
      'nothing',
      'caller_not_proven',
    ],
    // Signed by somebody who is not of the party.
    'PUT /v1/secrets/:name': ['/v1/secrets/tenant-key', 'import', 'statement_refused'],
    'POST /v1/party/secrets/:name/rotate': [
      '/v1/party/secrets/tenant-key/rotate',
      'statement',
      'statement_refused',
    ],
    'POST /v1/party/secrets/:name/destroy': [
      '/v1/party/secrets/tenant-key/destroy',
      'statement',
      'statement_refused',
    ],
    'POST /v1/party/machines': ['/v1/party/machines', 'statement', 'statement_refused'],
    'POST /v1/recovery/set': ['/v1/recovery/set', 'statement', 'statement_refused'],
    'POST /v1/counters/:name/reset': [
      '/v1/counters/records-log/reset',
      'statement',
      'statement_refused',
    ],
    'POST /v1/override': ['/v1/override', 'statement', 'statement_refused'],
    'POST /v1/recovery/shares': ['/v1/recovery/shares', 'share', 'already_active'],
    // Signed by nobody.
    'POST /v1/manifest': ['/v1/manifest', 'manifest', 'manifest_refused'],
    // It says what was seen of a party, signed; without a head nothing is seen.
    'POST /v1/witness': ['/v1/witness', 'witness', 'ok'],
  };

type Bodies = Awaited<ReturnType<typeof bodies>>;

async function bodies() {
  const identity = await world.identity('records');
  const evidence = encodeEnvelope(await identity.evidence(random(32)));
  const nonce = encodeBase64url(random(32));
  const stranger = await p256();
  const said = {
    purpose: 'rotate-secret' as const,
    party: 'hospital',
    manifest: world.manifest.id,
    nonce,
  };
  const statements = [await signPartyStatement(said, stranger.privateKey)];
  const publicKey = await crypto.subtle.exportKey('spki', identity.sigKey.publicKey);
  const csr = await createCertificationRequest({
    subject: encodeName({ commonName: 'records' }),
    publicKey: new Uint8Array(publicKey),
    signer: identity.sigKey.privateKey,
  });
  const { manifest } = await world.sign(world.next({ lease: 60 }), []);
  const digest = 'ab'.repeat(32);
  return {
    nothing: {},
    nonce: { nonce },
    explain: { evidence },
    evidence: { evidence, nonce },
    replica: { evidence, nonce, party: 'hospital' },
    csr: { evidence, nonce, csr: encodeBase64url(csr) },
    move: { expected: 0, next: 1, digest, nonce },
    statement: { statements },
    import: { statements, value: 'AAAA' },
    share: { share: {} },
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- a manifest is JSON
    manifest: { manifest: manifest as unknown as JsonObject, signatures: {} },
    witness: { party: 'diagnostics', nonce },
  };
}

describe('every route inside the channel that could do something', () => {
  it('is listed here with what it answers to somebody without any proof', () => {
    const { app } = innerApp();
    const routes = app.routes
      .filter(({ method }) => !['GET', 'ALL'].includes(method))
      .map(({ method, path }) => `${method} ${path}`);
    assert.deepEqual([...new Set(routes)].toSorted(), Object.keys(ROUTES).toSorted());
  });

  for (const [route, [path, body, code]] of Object.entries(ROUTES))
    it(`answers ${code}, and nothing happens: ${route}`, async () => {
      const { app, broker } = innerApp();
      const [method = ''] = route.split(' ');
      const { tree } = broker.requireOpen().journal;
      const entries = tree.size;
      const all = await bodies();
      const init = { method, body: JSON.stringify(all[body]) };
      const request = new Request(`https://key-broker${path}`, init);
      const context = { encapsulation: random(32), binding: random(32) };
      const answer = await app.fetch(request, context);
      const text = await answer.text();
      const { type = 'ok' } = JSON.parse(text) as { type?: string };
      assert.equal(answer.ok ? 'ok' : type.replace('urn:cloister:', ''), code, text);
      assert.equal(tree.size, entries);
    });
});
