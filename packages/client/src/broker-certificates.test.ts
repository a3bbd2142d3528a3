import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import type { Bytes } from '@cloister/bytes';
import {
  basicConstraintsExtension,
  createCertificate,
  encodeName,
  keyUsageExtension,
  type ExtensionInput,
  alternativeNamesExtension,
} from '@cloister/crypto';
import { createHeadScene, type HeadScene } from '../../attestation/src/head/head-scene.test.ts';
import { AT } from '../../attestation/src/peer/scene.test.ts';
import {
  signCertificateAuthorities,
  verifyCertificateAuthorities,
  type AuthoritiesTrust,
  type CertificateAuthorities,
  type VerifiedAuthorities,
} from './broker-certificates.ts';
import {
  manifestExtension,
  serviceUri,
  verifyServiceCertificate,
  type ServiceCertificateTrust,
} from './service-certificate.ts';

const NOW = AT.getTime() / 1000;
const NONCE = new Uint8Array(32).fill(3);
const NAME = encodeName({ commonName: 'CA 1' });
const HOUR_MS = 3_600_000;
let scene: HeadScene;
let authority: CryptoKeyPair;
let subject: CryptoKeyPair;
let spki: Bytes;

before(async () => {
  scene = await createHeadScene();
  authority = await p256();
  subject = await p256();
  spki = await spkiOf(subject);
});

function p256(): Promise<CryptoKeyPair> {
  return crypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, true, [
    'sign',
    'verify',
  ]);
}

async function spkiOf({ publicKey }: CryptoKeyPair): Promise<Bytes> {
  return new Uint8Array(await crypto.subtle.exportKey('spki', publicKey));
}

async function authorityCertificate(
  changes: { readonly ca?: boolean; readonly notAfter?: Date; readonly signer?: CryptoKey } = {},
): Promise<Bytes> {
  const { ca = true, notAfter = new Date(AT.getTime() + 90 * 24 * HOUR_MS) } = changes;
  return createCertificate({
    subject: NAME,
    issuer: NAME,
    serial: Uint8Array.of(1),
    notBefore: new Date(AT.getTime() - HOUR_MS),
    notAfter,
    publicKey: await spkiOf(authority),
    signer: changes.signer ?? authority.privateKey,
    extensions: [
      basicConstraintsExtension({ ca }),
      keyUsageExtension(ca ? 'keyCertSign' : 'digitalSignature'),
    ],
  });
}

const verifyAuthorities = async (
  changes: Partial<CertificateAuthorities> = {},
  trust: Partial<AuthoritiesTrust> & { key?: CryptoKey } = {},
) => {
  const { key = scene.hospital.privateKey, ...rest } = trust;
  const statement = {
    deployment: 'lamna',
    party: 'hospital',
    manifest: scene.manifest.id,
    time: NOW,
    certificates: [await authorityCertificate()],
    nonce: NONCE,
    ...changes,
  };
  const jws = await signCertificateAuthorities(statement, key);
  const options = { manifest: scene.manifest, party: 'hospital', nonce: NONCE, at: AT, ...rest };
  const verdict = await verifyCertificateAuthorities(jws, options);
  return verdict.ok ? 'ok' : verdict.code;
};

describe('verifyCertificateAuthorities', () => {
  it('takes what the broker that the manifest names says now', async () => {
    assert.equal(await verifyAuthorities(), 'ok');
    assert.equal(
      await verifyAuthorities({ nonce: undefined, time: NOW - 900 }, { nonce: undefined }),
      'ok',
    );
  });

  const refusals: Readonly<
    Record<string, readonly [string, () => ReturnType<typeof verifyAuthorities>]>
  > = {
    'another key': [
      'sender_foreign',
      async () => verifyAuthorities({}, { key: (await p256()).privateKey }),
    ],
    'a party without a broker': [
      'broker_unknown',
      () => verifyAuthorities({}, { party: 'nobody' }),
    ],
    'a party of the prototype': [
      'broker_unknown',
      () => verifyAuthorities({}, { party: 'constructor' }),
    ],
    'another party in the statement': [
      'statement_of_another',
      () => verifyAuthorities({ party: 'diagnostics' }),
    ],
    'another deployment': [
      'statement_of_another',
      () => verifyAuthorities({ deployment: 'other' }),
    ],
    'another manifest': [
      'manifest_mismatch',
      () => verifyAuthorities({ manifest: '00'.repeat(32) }),
    ],
    'another nonce': ['statement_stale', () => verifyAuthorities({ nonce: new Uint8Array(32) })],
    'no nonce where one was asked for': [
      'statement_stale',
      () => verifyAuthorities({ nonce: undefined }),
    ],
    'a statement older than a lease': [
      'statement_stale',
      () => verifyAuthorities({ nonce: undefined, time: NOW - 901 }, { nonce: undefined }),
    ],
    'no authority': ['statement_malformed', () => verifyAuthorities({ certificates: [] })],
    'more authorities than there can be': [
      'statement_malformed',
      async () => {
        const one = await authorityCertificate();
        return verifyAuthorities({ certificates: [one, one, one] });
      },
    ],
    'what is no certificate': [
      'statement_malformed',
      () => verifyAuthorities({ certificates: [Uint8Array.of(1, 2, 3)] }),
    ],
    'an authority that is none': [
      'authority_invalid',
      async () => verifyAuthorities({ certificates: [await authorityCertificate({ ca: false })] }),
    ],
    'an authority that has ended': [
      'authority_invalid',
      async () =>
        verifyAuthorities({
          certificates: [await authorityCertificate({ notAfter: new Date(AT.getTime() - 1000) })],
        }),
    ],
    'an authority that did not sign itself': [
      'authority_invalid',
      async () => {
        const signer = subject.privateKey;
        return verifyAuthorities({ certificates: [await authorityCertificate({ signer })] });
      },
    ],
  };
  for (const [title, [code, attempt]] of Object.entries(refusals))
    it(`refuses ${title}`, async () => assert.equal(await attempt(), code));

  it('refuses what is no JWS, and a statement of another sort', async () => {
    const options = { manifest: scene.manifest, party: 'hospital', at: AT };
    for (const text of ['', 'a.b.c', 'x'.repeat(100)]) {
      const verdict = await verifyCertificateAuthorities(text, options);
      assert.equal(verdict.ok ? 'ok' : verdict.code, 'sender_foreign');
    }
  });
});

const names = (...uris: string[]) => alternativeNamesExtension({ uris, dnsNames: ['x.internal'] });

const good = () => [
  basicConstraintsExtension({ ca: false }),
  keyUsageExtension('digitalSignature'),
  names(serviceUri('lamna', 'records')),
  manifestExtension(scene.manifest.id),
];

const without = (oid: string) => good().filter((extension) => extension.oid !== oid);
const SAN = '2.5.29.17';

describe('verifyServiceCertificate', () => {
  interface Changes {
    readonly signer?: CryptoKey;
    readonly issuer?: Bytes;
    readonly notBefore?: Date;
    readonly notAfter?: Date;
    readonly extensions?: readonly ExtensionInput[];
  }
  const verify = async (
    changes: Changes = {},
    trust: Partial<ServiceCertificateTrust> = {},
  ): Promise<string> => {
    const jws = await signCertificateAuthorities(
      {
        deployment: 'lamna',
        party: 'hospital',
        manifest: scene.manifest.id,
        time: NOW,
        certificates: [await authorityCertificate()],
      },
      scene.hospital.privateKey,
    );
    const known = await verifyCertificateAuthorities(jws, {
      manifest: scene.manifest,
      party: 'hospital',
      at: AT,
    });
    assert.ok(known.ok);
    const authorities: VerifiedAuthorities = known.claims;
    const der = await createCertificate({
      subject: encodeName({ commonName: 'records' }),
      issuer: changes.issuer ?? NAME,
      serial: Uint8Array.of(2),
      notBefore: changes.notBefore ?? AT,
      notAfter: changes.notAfter ?? new Date(AT.getTime() + 24 * HOUR_MS),
      publicKey: spki,
      signer: changes.signer ?? authority.privateKey,
      extensions: changes.extensions ?? good(),
    });
    const options = { authorities, service: 'records', at: AT, spki, ...trust };
    const verdict = await verifyServiceCertificate(der, options);
    return verdict.ok ? 'ok' : verdict.code;
  };

  it('takes what an authority gave to this service', async () => {
    assert.equal(await verify(), 'ok');
    assert.equal(await verify({}, { manifest: scene.manifest.id }), 'ok');
  });

  const refusals: Readonly<Record<string, readonly [string, () => Promise<string>]>> = {
    'another key of the same name': [
      'certificate_foreign',
      () => verify({ signer: subject.privateKey }),
    ],
    'another issuer': [
      'certificate_foreign',
      () => verify({ issuer: encodeName({ commonName: 'CA 2' }) }),
    ],
    'one that has ended': [
      'certificate_expired',
      () => verify({}, { at: new Date(AT.getTime() + 25 * HOUR_MS) }),
    ],
    'one that has not begun': [
      'certificate_not_yet_valid',
      () => verify({ notBefore: new Date(AT.getTime() + HOUR_MS) }),
    ],
    'one for another service': [
      'certificate_of_another',
      () => verify({}, { service: 'inference' }),
    ],
    'one without a name': ['certificate_of_another', () => verify({ extensions: without(SAN) })],
    'one with a second name': [
      'certificate_of_another',
      () =>
        verify({
          extensions: [
            ...without(SAN),
            names(serviceUri('lamna', 'records'), serviceUri('lamna', 'inference')),
          ],
        }),
    ],
    'one for longer than a day': [
      'certificate_too_long',
      () => verify({ notAfter: new Date(AT.getTime() + 25 * HOUR_MS) }),
    ],
    'one of another manifest, where that matters': [
      'manifest_mismatch',
      () => verify({}, { manifest: '00'.repeat(32) }),
    ],
    'one without a manifest': [
      'certificate_malformed',
      () => verify({ extensions: good().slice(0, 3) }),
    ],
    'one for another key': [
      'certificate_of_another_key',
      async () => verify({}, { spki: await spkiOf(authority) }),
    ],
    'an authority in the place of a service': [
      'certificate_ca_as_leaf',
      () =>
        verify({
          extensions: [
            basicConstraintsExtension({ ca: true }),
            keyUsageExtension('keyCertSign'),
            ...good().slice(2),
          ],
        }),
    ],
  };
  for (const [title, [code, attempt]] of Object.entries(refusals))
    it(`refuses ${title}`, async () => assert.equal(await attempt(), code));

  it('refuses what is no certificate', async () => {
    const authorities = { party: 'hospital', deployment: 'lamna', certificates: [] };
    const verdict = await verifyServiceCertificate(Uint8Array.of(0x30, 0), {
      authorities,
      service: 'records',
      at: AT,
    });
    assert.equal(verdict.ok ? 'ok' : verdict.code, 'certificate_malformed');
  });
});
