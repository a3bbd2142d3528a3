/**
 * The real, unmodified `@azure/attestation` against `cloister service attestation`, all its calls,
 * with recorded evidence of real enclaves.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import {
  AttestationAdministrationClient,
  AttestationClient,
  type AttestationClientOptions,
} from '@azure/attestation';
import { policyHash, verifyToken } from '@cloister/attestation';
import { decodeUtf8 } from '@cloister/bytes';
import { jwkFromSpki, parseCertificate } from '@cloister/crypto';
import { shared, sharedMissing } from '../shared.ts';
import {
  freePort,
  makeCredentials,
  startAttestation,
  type Credentials,
  type Running,
} from './attestation-process.ts';

const vector = (path: string): Uint8Array => readFileSync(shared(`vectors/maa/${path}`));
const policyText = (name: string): string => decodeUtf8(vector(`policies/${name}.txt`));
const ACCEPTED = [
  'UpToDate',
  'SWHardeningNeeded',
  'ConfigurationNeeded',
  'ConfigurationAndSWHardeningNeeded',
  'OutOfDate',
  'OutOfDateConfigurationNeeded',
].join(',');
/** When Intel's collateral in `vectors/sgx` is good for FMSPC 00906ed50000. */
const AT = '1749668926';
const TOKEN = 'a-token-for-tests';
const NO_RETRY = { retryOptions: { maxRetries: 0 } };
const DRAFT_POLICY = 'version=1.0; authorizationrules{=> permit();}; issuancerules{};';

const development = (port: number, ...flags: string[]): Promise<Running> =>
  startAttestation(
    '--port',
    String(port),
    '--development',
    '--verification-time',
    AT,
    '--collateral',
    shared('vectors/sgx/collateral'),
    '--accept-tcb',
    ACCEPTED,
    ...flags,
  );

const urlOf = ({ url }: Running): string => url.replace('127.0.0.1', 'localhost');
const credential = (token: string) => ({
  getToken: () => Promise.resolve({ token, expiresOnTimestamp: Date.now() + 3_600_000 }),
});
/** A PEM, whatever its line breaks. */
const flat = (pem: string | undefined): string => (pem ?? '').replaceAll(/\s/g, '');

for (const scheme of ['http', 'https'] as const)
  describe(`@azure/attestation over ${scheme}`, { skip: sharedMissing }, () => {
    const folder = mkdtempSync(join(tmpdir(), 'cloister-conformance-'));
    let open: Running;
    let isolated: Running;
    let signer: Credentials;
    let server: Credentials;
    let options: AttestationClientOptions;

    before(async () => {
      if (sharedMissing !== false) return;
      signer = await makeCredentials('policy signer');
      server = await makeCredentials('localhost', { dns: 'localhost' });
      // With its key before it, as tools write such files.
      writeFileSync(join(folder, 'signer.pem'), signer.privateKey + signer.certificate);
      writeFileSync(join(folder, 'cert.pem'), server.certificate);
      writeFileSync(join(folder, 'key.pem'), server.privateKey);
      const start = async (...flags: string[]): Promise<Running> => {
        const port = await freePort();
        return development(
          port,
          '--public-url',
          `${scheme}://localhost:${port}`,
          '--permit-debug-evidence',
          ...(scheme === 'https'
            ? ['--tls-cert', join(folder, 'cert.pem'), '--tls-key', join(folder, 'key.pem')]
            : []),
          ...flags,
        );
      };
      [open, isolated] = await Promise.all([
        start(...(scheme === 'https' ? ['--management-token', TOKEN] : [])),
        start(
          '--isolated',
          join(folder, 'signer.pem'),
          ...(scheme === 'https' ? ['--management-token', TOKEN] : []),
        ),
      ]);
      options =
        scheme === 'https'
          ? { ...NO_RETRY, tlsOptions: { ca: server.certificate } }
          : { ...NO_RETRY, allowInsecureConnection: true };
    });
    after(async () => {
      await Promise.all([open?.stop(), isolated?.stop()]);
      rmSync(folder, { recursive: true });
    });

    /** Over plain HTTP the client takes no credential (spec/azure-attestation.md 5.4). */
    const clientOf = (running: Running): AttestationClient =>
      new AttestationClient(urlOf(running), {
        ...options,
        validationOptions: {
          validateToken: true,
          validateExpirationTime: true,
          validateNotBeforeTime: true,
          validateIssuer: true,
          expectedIssuer: urlOf(running),
          timeValidationSlack: 5,
        },
      });
    const adminOf = (running: Running, token = TOKEN): AttestationAdministrationClient =>
      new AttestationAdministrationClient(
        urlOf(running),
        scheme === 'https' ? credential(token) : (undefined as never),
        options,
      );

    it('says at start that it is a development instance', () => {
      assert.match(open.said(), /^DEVELOPMENT: this instance weakens its checks/m);
      assert.match(open.said(), /pinned to 2025-06-11T19:08:46\.000Z/);
      assert.match(open.said(), /debug evidence +PERMITTED/);
    });

    it('attests an SGX enclave: without data, with data, with JSON, with both', async () => {
      const client = clientOf(open);
      const runtime = vector('sdk/oe-debug.runtimedata.bin');
      for (const name of ['sgx-debug', 'sgx-nondebug'] as const) {
        const quote = vector(`sdk/${name}.quote.bin`);
        const bare = await client.attestSgxEnclave(quote);
        assert.equal(bare.token.algorithm, 'RS256');
        assert.equal(bare.body.issuer, urlOf(open));
        assert.equal(bare.body.isDebuggable, name === 'sgx-debug');
        assert.equal(bare.body.verifierType, 'sgx');
        assert.equal(bare.body.version, '1.0');
        assert.equal(bare.body.productId, 1);
        assert.equal(bare.body.svn, 1);
        assert.equal(
          Buffer.from(bare.body.policyHash).toString('base64url'),
          'bROrN897ZfWmWY2V0FLUlu3uwk5xatGnKYHn3zBbSlw',
        );
        assert.match(bare.body.uniqueId, /^[0-9a-f]{64}$/);
        const held = await client.attestSgxEnclave(quote, { runTimeData: runtime });
        assert.deepEqual(new Uint8Array(held.body.enclaveHeldData ?? []), new Uint8Array(runtime));
        assert.equal(held.body.runTimeClaims, undefined);
        const json = await client.attestSgxEnclave(quote, { runTimeJson: runtime });
        assert.deepEqual(Object.keys(json.body.runTimeClaims ?? {}), ['jwk']);
        assert.equal(json.body.enclaveHeldData, undefined);
      }
    });

    it('attests Open Enclave reports, and those of older samples', async () => {
      const client = clientOf(open);
      const reports = ['sdk/oe-debug', 'sdk/oe-nondebug', 'oe/prodid', 'oe/release'];
      for (const name of reports) {
        const { body } = await client.attestOpenEnclave(vector(`${name}.report.bin`));
        assert.equal(body.verifierType, 'sgx');
        assert.equal(body.productId, name === 'oe/prodid' ? 9999 : 1);
      }
      const held = vector('oe/release.ehd.bin');
      const { body } = await client.attestOpenEnclave(vector('oe/release.report.bin'), {
        runTimeData: held,
      });
      assert.deepEqual(new Uint8Array(body.enclaveHeldData ?? []), new Uint8Array(held));
      const { body: sample } = await client.attestSgxEnclave(
        vector('sgx-intel/securityversion.quote.bin'),
        { runTimeData: vector('sgx-intel/securityversion.ehd.bin') },
      );
      assert.equal(sample.svn, 8888);
    });

    it('evaluates draft policies, whose tokens nobody signed', async () => {
      const client = clientOf(open);
      const quote = vector('sdk/sgx-debug.quote.bin');
      const draft = policyText('04-draft-permit-debug-sdk');
      const { token, body } = await client.attestSgxEnclave(quote, {
        draftPolicyForAttestation: draft,
      });
      assert.equal(token.algorithm, 'none');
      assert.equal(Buffer.from(body.policyHash).toString('base64url'), await policyHash(draft));
      assert.equal(
        Buffer.from(body.policyHash).toString('base64url'),
        '1wKUrF_E0X5CZUM9OMIF1PH3qn5iykWY_bWgBbiWJZ0',
      );
      assert.deepEqual(body.policyClaims, {
        'custom-name': '4aea5f9a0ed04b11f889aadfe6a1d376213a29a95a85ce7337ae6f7fece6610c',
      });
      const refused = {
        '05-draft-implicit-deny-sdk': [
          'PolicyEvaluationError',
          /No Permit claim was issued in the authorizationrules section/,
        ],
        '08-deny-all': ['PolicyEvaluationError', /A Deny claim was issued/],
        '07-mrsigner-rotation': ['PolicyEvaluationError', /No Permit claim/],
        '13-deny-wins-comments': ['PolicyEvaluationError', /A Deny claim was issued/],
        '14-invalid-missing-semicolon': ['PolicyParsingError', /Line: '2', Column: '1'/],
      } as const;
      for (const [name, [code, message]] of Object.entries(refused))
        await assert.rejects(
          client.attestSgxEnclave(quote, { draftPolicyForAttestation: policyText(name) }),
          { name: 'RestError', statusCode: 400, code, message },
          name,
        );
      for (const name of ['01-default-sgx-2022-live', '02-default-sgx-1.1-docs', '03-minimal-sdk'])
        await client.attestOpenEnclave(vector('sdk/oe-debug.report.bin'), {
          draftPolicyForAttestation: policyText(name),
        });
    });

    it('reads the signers and the metadata', async () => {
      const client = clientOf(open);
      const [signing] = await client.getAttestationSigners();
      assert.match(signing?.certificates[0] ?? '', /BEGIN CERTIFICATE/);
      assert.ok(signing?.keyId);
      const metadata = await client.getOpenIdMetadata();
      assert.equal(metadata['issuer'], urlOf(open));
      assert.equal(metadata['jwks_uri'], `${urlOf(open)}/certs`);
    });

    it('refuses TPMs honestly, and evidence that was changed', async () => {
      const client = clientOf(open);
      await assert.rejects(client.attestTpm(JSON.stringify({ payload: { type: 'aikcert' } })), {
        name: 'RestError',
        statusCode: 400,
        code: 'InvalidOperation',
      });
      const changed = new Uint8Array(vector('sdk/sgx-debug.quote.bin'));
      changed[112] = (changed[112] ?? 0) ^ 1;
      await assert.rejects(client.attestSgxEnclave(changed), {
        statusCode: 400,
        code: 'InvalidParameter',
      });
      await assert.rejects(
        client.attestSgxEnclave(vector('sdk/sgx-debug.quote.bin'), {
          runTimeData: Buffer.from('other'),
        }),
        { statusCode: 400, code: 'InvalidParameter' },
      );
    });

    it('gets, sets and resets policies, per type', async () => {
      const admin = adminOf(open);
      const first = await admin.getPolicy('SgxEnclave');
      assert.equal(first.body, policyText('01-default-sgx-2022-live'));
      const { body } = await admin.setPolicy('SgxEnclave', DRAFT_POLICY);
      assert.equal(body.policyResolution, 'Updated');
      assert.equal(
        Buffer.from(body.policyTokenHash ?? []).toString('base64url'),
        'c6sEJQItV50OeP9IrP_bzywAMOVvj5uDPbklA_bwdYQ',
      );
      assert.equal((await admin.getPolicy('SgxEnclave')).body, DRAFT_POLICY);
      assert.equal(
        (await admin.getPolicy('OpenEnclave')).body,
        policyText('01-default-sgx-2022-live'),
      );
      const attested = await clientOf(open).attestSgxEnclave(vector('sdk/sgx-debug.quote.bin'));
      assert.equal(attested.body.policyClaims, undefined);
      assert.equal(attested.body.policySigner, undefined);
      assert.equal((await admin.resetPolicy('SgxEnclave')).body.policyResolution, 'Removed');
      assert.equal((await admin.getPolicy('SgxEnclave')).body, first.body);
      // The real service has no policy for TPMs either, and the client breaks on that.
      await assert.rejects(admin.getPolicy('Tpm'), TypeError);
      await assert.rejects(
        admin.setPolicy('SgxEnclave', policyText('14-invalid-missing-semicolon')),
        { statusCode: 400, code: 'PolicyParsingError', message: /expecting ';'/ },
      );
    });

    for (const type of ['RSA', 'EC'] as const)
      it(`sets a policy signed by any ${type} key, and says in tokens who signed it`, async () => {
        const someone = await makeCredentials('someone', { type, ca: false });
        const { certificate, privateKey } = someone;
        const admin = adminOf(open);
        const { body } = await admin.setPolicy('OpenEnclave', DRAFT_POLICY, {
          certificate,
          privateKey,
        });
        assert.equal(flat(body.policySigner?.certificates[0]), flat(certificate));
        assert.equal((await admin.getPolicy('OpenEnclave')).body, DRAFT_POLICY);
        const report = vector('sdk/oe-nondebug.report.bin');
        const attested = await clientOf(open).attestOpenEnclave(report);
        assert.equal(flat(attested.body.policySigner?.certificates[0]), flat(certificate));
        await admin.resetPolicy('OpenEnclave', { certificate, privateKey });
      });

    it('has no policy certificates on an open instance', async () => {
      const admin = adminOf(open);
      assert.deepEqual((await admin.getPolicyManagementCertificates()).body, []);
      for (const call of [
        () =>
          admin.addPolicyManagementCertificate(
            signer.certificate,
            signer.privateKey,
            signer.certificate,
          ),
        () =>
          admin.removePolicyManagementCertificate(
            signer.certificate,
            signer.privateKey,
            signer.certificate,
          ),
      ])
        await assert.rejects(call(), { statusCode: 400, code: 'InvalidOperation' });
    });

    it('manages the signers of an isolated instance, who alone set policies', async () => {
      const admin = adminOf(isolated);
      const [listed] = (await admin.getPolicyManagementCertificates()).body;
      assert.equal(
        (listed?.certificates[0] ?? '').replaceAll(/\s/g, ''),
        signer.certificate.replaceAll(/\s/g, ''),
      );
      const second = await makeCredentials('second signer');
      const signed = { certificate: signer.certificate, privateKey: signer.privateKey };
      const bySecond = { certificate: second.certificate, privateKey: second.privateKey };
      const refused = { statusCode: 400, code: 'InvalidOperation' };
      await assert.rejects(admin.setPolicy('SgxEnclave', DRAFT_POLICY), refused);
      await assert.rejects(admin.setPolicy('SgxEnclave', DRAFT_POLICY, bySecond), refused);
      await assert.rejects(admin.resetPolicy('SgxEnclave'), refused);
      const set = await admin.setPolicy('SgxEnclave', DRAFT_POLICY, signed);
      assert.equal(set.body.policyResolution, 'Updated');

      const { certificate, privateKey } = signed;
      const added = await admin.addPolicyManagementCertificate(
        second.certificate,
        privateKey,
        certificate,
      );
      assert.equal(added.body.certificateResolution, 'IsPresent');
      assert.match(added.body.certificateThumbprint, /^[0-9A-F]{40}$/);
      assert.equal((await admin.getPolicyManagementCertificates()).body.length, 2);
      await admin.setPolicy('SgxEnclave', `${DRAFT_POLICY}//`, bySecond);
      await admin.resetPolicy('SgxEnclave', bySecond);
      const removed = await admin.removePolicyManagementCertificate(
        second.certificate,
        privateKey,
        certificate,
      );
      assert.equal(removed.body.certificateResolution, 'IsAbsent');
      await assert.rejects(admin.setPolicy('SgxEnclave', DRAFT_POLICY, bySecond), refused);
      const again = await admin.removePolicyManagementCertificate(
        second.certificate,
        privateKey,
        certificate,
      );
      assert.equal(again.body.certificateResolution, 'IsAbsent');
      await assert.rejects(
        admin.removePolicyManagementCertificate(certificate, privateKey, certificate),
        { ...refused, message: /last policy certificate/ },
      );
      const noRoot = await makeCredentials('no CA', { ca: false });
      await assert.rejects(
        admin.addPolicyManagementCertificate(noRoot.certificate, privateKey, certificate),
        { statusCode: 400, code: 'InvalidParameter' },
      );
      const outsider = await makeCredentials('outsider');
      await assert.rejects(
        admin.addPolicyManagementCertificate(
          outsider.certificate,
          outsider.privateKey,
          outsider.certificate,
        ),
        refused,
      );
    });

    if (scheme === 'https')
      it('lets nobody manage without the token', async () => {
        const stranger = adminOf(open, 'another-token');
        const refused = { statusCode: 401, code: 'Unauthorized' };
        await assert.rejects(stranger.getPolicy('SgxEnclave'), refused);
        await assert.rejects(stranger.setPolicy('SgxEnclave', DRAFT_POLICY), refused);
        await assert.rejects(stranger.getPolicyManagementCertificates(), refused);
      });

    it('gives tokens that our relying party verifies by the published keys', async () => {
      const [signing] = await clientOf(open).getAttestationSigners();
      const { token } = await clientOf(open).attestSgxEnclave(vector('sdk/sgx-nondebug.quote.bin'));
      const pem = signing?.certificates[0] ?? '';
      const der = Buffer.from(pem.replaceAll(/-----[^-]+-----|\s/g, ''), 'base64');
      const { spki, subjectCommonName } = parseCertificate(new Uint8Array(der));
      assert.equal(subjectCommonName, urlOf(open));
      const keys = [{ ...jwkFromSpki(spki), kid: signing?.keyId ?? '' }];
      const issuers = [{ iss: urlOf(open), keys }];
      const at = new Date();
      assert.ok((await verifyToken(token.serialize(), { issuers, at })).ok);
      // The draft's token is refused by whoever asks for a signature, unlike by the client itself.
      const draft = await clientOf(open).attestSgxEnclave(vector('sdk/sgx-debug.quote.bin'), {
        draftPolicyForAttestation: DRAFT_POLICY,
      });
      const unsigned = await verifyToken(draft.token.serialize(), { issuers, at });
      assert.ok(!unsigned.ok && unsigned.code === 'token_alg');
    });
  });
