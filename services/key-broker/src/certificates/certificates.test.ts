import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { connect, createServer } from 'node:tls';
import { after, before, describe, it } from 'node:test';
import { encodeEnvelope, type EvidenceEnvelope } from '@cloister/attestation';
import { createTlsKey, tlsName, type ServiceIdentity } from '@cloister/attester';
import {
  decodeBase64url,
  decodePem,
  encodeBase64url,
  encodePem,
  parseJsonObject,
  type Bytes,
  type JsonObject,
} from '@cloister/bytes';
import { createChannel, type Fetch } from '@cloister/channel';
import {
  fetchCertificateAuthorities,
  verifyService,
  verifyServiceCertificate,
  type CertificateQuery,
  type ClientError,
} from '@cloister/client';
import { createCertificationRequest, encodeName } from '@cloister/crypto';
import { createWorld, CODE, identityOf, p256, random, type World } from '../scene.test.ts';

const HOSPITAL = 'https://hospital.example';
const P256 = { name: 'ECDSA', namedCurve: 'P-256' };
const NAME = encodeName({ commonName: 'whatever' });

let world: World;
before(async () => {
  world = await createWorld();
});
after(() => world.close());

async function requestBy({ privateKey, publicKey }: CryptoKeyPair): Promise<Bytes> {
  const spki = new Uint8Array(await crypto.subtle.exportKey('spki', publicKey));
  return createCertificationRequest({ subject: NAME, publicKey: spki, signer: privateKey });
}

const certify = async (changes: Partial<CertificateQuery> & { by?: World } = {}) => {
  const at = changes.by ?? world;
  const identity = (changes.identity ?? (await at.identity('records'))) as ServiceIdentity;
  const request = changes.request ?? (await requestBy(identity.sigKey));
  const query = { party: 'hospital', service: 'records', ...changes, identity, request };
  return at.client('hospital').certify(query);
};
const codeOf = (result: { ok: boolean; code?: string }) => (result.ok ? 'ok' : result.code);

/** A key for TLS that evidence names, and its request. */
async function tlsIdentity(at: World) {
  const tls = await createTlsKey({ service: 'records', now: at.now, random });
  const [pkcs8 = assert.fail()] = decodePem(tls.key, 'PRIVATE KEY');
  const privateKey = await crypto.subtle.importKey('pkcs8', pkcs8, P256, true, ['sign']);
  const spki = new X509Certificate(tls.cert).publicKey.export({ format: 'der', type: 'spki' });
  const request = await createCertificationRequest({
    subject: NAME,
    publicKey: new Uint8Array(spki),
    signer: privateKey,
  });
  const identity = await at.identity('records', { tls: tls.spkiSha256 });
  return { key: tls.key, identity, request };
}

const authoritiesOf = (at: World) =>
  fetchCertificateAuthorities({
    baseUrl: HOSPITAL,
    transport: at.transport,
    manifest: at.manifest,
    party: 'hospital',
    now: at.now,
    random,
  });
const pem = (...certificates: readonly { readonly der: Bytes }[]): string =>
  certificates.map(({ der }) => encodePem('CERTIFICATE', der)).join('');

/** What both ends of TLS say, each with a certificate and trust in these authorities. */
async function shakeHands(own: { key: string; cert: string }, ca: string): Promise<string> {
  const server = createServer({ ...own, ca, requestCert: true, rejectUnauthorized: true });
  const seen = new Promise<string>((resolve) => {
    server.on('secureConnection', (socket) => {
      const { subjectaltname = '' } = socket.getPeerCertificate();
      socket.on('error', () => undefined);
      socket.end(subjectaltname);
    });
    server.on('tlsClientError', () => undefined);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      const socket = connect({
        port,
        host: '127.0.0.1',
        servername: tlsName('records'),
        ca,
        ...own,
      });
      let text = '';
      socket.setEncoding('utf8').on('data', (piece: string) => (text += piece));
      socket.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
      socket.on('end', () => resolve(text));
    });
  });
  const result = await seen;
  server.close();
  return result;
}

describe('a certificate', () => {
  it('is given for the attested sig key, and stands in the log', async () => {
    const result = await certify({ hours: 2 });
    assert.ok(result.ok, JSON.stringify(result));
    const { certificate, manifest, authorities } = result.claims;
    assert.equal(manifest, world.manifest.id);
    const now = world.at.getTime();
    assert.equal(certificate.notAfter.getTime(), now + 2 * 3_600_000);
    const other = new X509Certificate(certificate.der);
    assert.equal(
      other.subjectAltName,
      'URI:cloister://lamna/records, DNS:records.cloister.internal',
    );
    assert.deepEqual(other.keyUsage, ['1.3.6.1.5.5.7.3.1', '1.3.6.1.5.5.7.3.2']);
    assert.equal(other.ca, false);
    // What the request asked to be called is nobody's business.
    assert.equal(certificate.subjectCommonName, 'cloister records');
    const [authority = assert.fail()] = authorities.certificates;
    assert.ok(other.verify(new X509Certificate(authority.der).publicKey));
    const { broker } = world.running.get('hospital') ?? assert.fail();
    const leaves = await broker.entries(0, 1000);
    const events = leaves.map((leaf) => parseJsonObject(new TextDecoder().decode(leaf)));
    const issued = events.findLast(({ event }) => event === 'certificate-issued');
    assert.equal(issued?.['serial'], certificate.serial);
    assert.equal(issued['service'], 'records');
    assert.equal(issued['manifest'], world.manifest.id);
    assert.equal(issued['simulated'], true);
    assert.equal(events.filter(({ event }) => event === 'authority-created').length, 1);
  });

  it('is accepted by both ends of node:tls with the published authority and nothing else', async () => {
    const { key, identity, request } = await tlsIdentity(world);
    const result = await certify({ identity, request });
    assert.ok(result.ok, JSON.stringify(result));
    const own = { key, cert: pem(result.claims.certificate) };
    const published = await authoritiesOf(world);
    assert.ok(published.ok);
    const ca = pem(...published.claims.certificates);
    assert.match(await shakeHands(own, ca), /^URI:cloister:\/\/lamna\/records/);
    const elsewhere = await createWorld();
    try {
      const foreign = await authoritiesOf(elsewhere);
      assert.ok(foreign.ok);
      const refused = await shakeHands(own, pem(...foreign.claims.certificates));
      assert.match(refused, /UNABLE_TO_VERIFY|SELF_SIGNED|UNABLE_TO_GET_ISSUER/);
    } finally {
      await elsewhere.close();
    }
  });

  it('of before is accepted no more once a manifest narrows a service, and the old key is gone', async () => {
    const own = await createWorld();
    try {
      const earlier = await certify({ by: own });
      assert.ok(earlier.ok);
      const { key, identity, request } = await tlsIdentity(own);
      const old = await certify({ by: own, identity, request });
      assert.ok(old.ok);
      const { services } = own.draft as { services: JsonObject };
      // Another code is added: nothing is narrowed, and certificates go on.
      const grown = {
        ...services,
        records: { identity: { anyOf: [identityOf('records', CODE.records, 'ee'.repeat(32))] } },
      };
      await own.agree(own.next({ services: grown }));
      const same = await authoritiesOf(own);
      assert.ok(same.ok);
      assert.deepEqual(
        same.claims.certificates.map(({ der }) => der),
        earlier.claims.authorities.certificates.map(({ der }) => der),
      );
      // The code of before is dropped.
      const { store, broker } = own.running.get('hospital') ?? assert.fail();
      const narrowed = {
        ...services,
        records: { identity: { anyOf: [identityOf('records', 'ee'.repeat(32))] } },
      };
      await own.agree(own.next({ services: narrowed }));
      const now = await authoritiesOf(own);
      assert.ok(now.ok);
      assert.equal(now.claims.certificates.length, 1);
      const authorities = now.claims;
      const trust = { authorities, service: 'records', at: own.at };
      const { der } = earlier.claims.certificate;
      assert.equal(codeOf(await verifyServiceCertificate(der, trust)), 'certificate_foreign');
      const cert = pem(old.claims.certificate);
      const refused = await shakeHands({ key, cert }, pem(...authorities.certificates));
      assert.match(refused, /UNABLE_TO_VERIFY|SELF_SIGNED|UNABLE_TO_GET_ISSUER/);
      assert.equal((await store.value('authority/1')).value, undefined);
      assert.deepEqual(
        broker.requireOpen().journal.state.authorities.map(({ generation }) => generation),
        [2],
      );
      // The narrowed code itself gets none any more; what took its place does.
      assert.equal(codeOf(await certify({ by: own })), 'measurement_not_agreed');
      const successor = await own.identity('records', { mrenclave: 'ee'.repeat(32) });
      assert.equal(codeOf(await certify({ by: own, identity: successor })), 'ok');
    } finally {
      await own.close();
    }
  });

  it('outlives an authority that is replaced for its age', async () => {
    const own = await createWorld();
    try {
      const first = await certify({ by: own });
      assert.ok(first.ok);
      own.pass(46 * 86_400);
      await own.tick();
      const second = await certify({ by: own });
      assert.ok(second.ok, JSON.stringify(second));
      assert.equal(second.claims.authorities.certificates.length, 2);
      own.pass(26 * 3600);
      await own.tick();
      const later = await authoritiesOf(own);
      assert.ok(later.ok);
      assert.equal(later.claims.certificates.length, 1);
      const trust = { authorities: second.claims.authorities, service: 'records', at: own.at };
      const ended = await verifyServiceCertificate(second.claims.certificate.der, trust);
      assert.equal(codeOf(ended), 'certificate_expired');
    } finally {
      await own.close();
    }
  });

  it('comes from the same authority after a restart', async () => {
    const own = await createWorld();
    try {
      const first = await certify({ by: own });
      await own.running.get('hospital')?.stop();
      await own.start('hospital');
      await own.tick();
      const second = await certify({ by: own });
      assert.ok(first.ok && second.ok, JSON.stringify(second));
      assert.deepEqual(
        second.claims.authorities.certificates.map(({ der }) => der),
        first.claims.authorities.certificates.map(({ der }) => der),
      );
    } finally {
      await own.close();
    }
  });
});

function behind(error: unknown): boolean {
  return (error as ClientError).issues?.[0]?.code === 'behind_witness';
}

describe('no certificate', () => {
  it('for a key that is not attested', async () => {
    const request = await requestBy(await p256());
    assert.equal(codeOf(await certify({ request })), 'key_not_attested');
  });

  it('for a TLS key that the evidence does not name', async () => {
    const { request } = await tlsIdentity(world);
    const { identity } = await tlsIdentity(world);
    assert.equal(codeOf(await certify({ request, identity })), 'key_not_attested');
  });

  it('for the encryption key of the service, which signs nothing', async () => {
    const identity = await world.identity('records');
    const spki = await crypto.subtle.exportKey('spki', identity.encKey.publicKey);
    const other = await p256();
    const request = await createCertificationRequest({
      subject: NAME,
      publicKey: new Uint8Array(spki),
      signer: other.privateKey,
    });
    assert.equal(codeOf(await certify({ identity, request })), 'possession_not_proven');
  });

  it('without possession of the attested key', async () => {
    const identity = await world.identity('records');
    const spki = new Uint8Array(await crypto.subtle.exportKey('spki', identity.sigKey.publicKey));
    const { privateKey } = await p256();
    const request = await createCertificationRequest({
      subject: NAME,
      publicKey: spki,
      signer: privateKey,
    });
    assert.equal(codeOf(await certify({ identity, request })), 'possession_not_proven');
  });

  it('for code that the manifest does not admit', async () => {
    const identity = await world.identity('records', { mrenclave: 'dd'.repeat(32) });
    assert.equal(codeOf(await certify({ identity })), 'measurement_not_agreed');
  });

  it('to whoever shows evidence of before', async () => {
    const identity = await world.identity('records');
    let kept: EvidenceEnvelope | undefined;
    const replaying = {
      ...identity,
      evidence: async (nonce?: Bytes) => (kept ??= await identity.evidence(nonce)),
    };
    assert.equal(codeOf(await certify({ identity: replaying })), 'ok');
    assert.equal(codeOf(await certify({ identity: replaying })), 'nonce_unknown');
  });

  it('over a nonce that has grown old', async () => {
    const identity = await world.identity('records');
    const slow = {
      ...identity,
      evidence: async (nonce?: Bytes) => {
        world.pass(121);
        return identity.evidence(nonce);
      },
    };
    assert.equal(codeOf(await certify({ identity: slow })), 'nonce_unknown');
  });

  it('from a broker that is not active', async () => {
    const own = await createWorld();
    try {
      const copy = own.backup('hospital', 'old');
      assert.equal(codeOf(await certify({ by: own })), 'ok');
      own.pass(61);
      await own.tick();
      await own.running.get('hospital')?.stop();
      await own.start('hospital', { folder: copy });
      await own.tick();
      await assert.rejects(certify({ by: own }), behind);
      await assert.rejects(authoritiesOf(own), behind);
    } finally {
      await own.close();
    }
  });
});

describe('a request for a certificate', async () => {
  let channel: Fetch;
  let identity: ServiceIdentity;
  let csr: Bytes;
  before(async () => {
    const { manifest, transport, now } = world;
    const means = { transport, now, random };
    const broker = { baseUrl: HOSPITAL, service: 'key-broker', manifest };
    const verdict = await verifyService({ ...broker, ...means });
    assert.ok(verdict.ok);
    const url = `${HOSPITAL}/.well-known/ohttp-gateway`;
    channel = createChannel({ peer: verdict.claims, url, ...means });
    identity = await world.identity('records');
    csr = await requestBy(identity.sigKey);
  });
  const post = async (path: string, body: object): Promise<JsonObject> => {
    const init = { method: 'POST', body: JSON.stringify(body) };
    const answer = await channel(new Request(`https://key-broker${path}`, init));
    return parseJsonObject(await answer.text());
  };
  const order = async (changes: JsonObject = {}): Promise<string> => {
    const { nonce } = await post('/v1/challenge', {});
    const evidence = await identity.evidence(decodeBase64url(nonce as string));
    const answer = await post('/v1/certificates', {
      evidence: encodeEnvelope(evidence),
      csr: encodeBase64url(csr),
      nonce: encodeBase64url(random(32)),
      ...changes,
    });
    const { type = 'ok' } = answer;
    return (type as string).replace('urn:cloister:', '');
  };

  it('is good as it stands', async () => assert.equal(await order(), 'ok'));

  it('is refused where it is no request, cut short, or followed by something', async () => {
    const junk: readonly Bytes[] = [
      random(300),
      csr.subarray(0, csr.length - 1),
      csr.subarray(0, 10),
      Uint8Array.from([...csr, 0]),
    ];
    for (const bytes of junk)
      assert.equal(await order({ csr: encodeBase64url(bytes) }), 'malformed');
    assert.equal(await order({ csr: '' }), 'malformed');
    assert.equal(await order({ csr: 'A'.repeat(30_000) }), 'malformed');
  });

  it('is refused for less than an hour, for more than a day, and with members of no meaning', async () => {
    for (const hours of [0, 25, 1.5, -1]) assert.equal(await order({ hours }), 'malformed');
    assert.equal(await order({ more: true }), 'malformed');
  });

  it('with a flipped bit in its signature proves nothing', async () => {
    const changed = csr.slice();
    const last = changed.length - 1;
    changed[last] = (changed[last] ?? 0) ^ 1;
    assert.equal(await order({ csr: encodeBase64url(changed) }), 'possession_not_proven');
  });
});
