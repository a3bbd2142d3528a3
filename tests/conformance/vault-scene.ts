import { once } from 'node:events';
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from 'node:tls';
import {
  manifestId,
  parseManifest,
  parseRuntimeData,
  signManifest,
  type Manifest,
  type RuntimeData,
  type VerifiedPeer,
} from '@cloister/attestation';
import { openSimulatedPlatform } from '@cloister/attester';
import { encodeBase64url, encodeHex, encodeUtf8, type JsonObject } from '@cloister/bytes';
import { createChannel } from '@cloister/channel';
import {
  createRecordsClient,
  signPartyStatement,
  verifyService,
  type RecordsClient,
} from '@cloister/client';
import { parseCertificate, sha256 } from '@cloister/crypto';
import { createHttpClient } from '@cloister/service';
import { openAccounts } from '../../apps/cli/src/local/accounts.ts';
import { readLocalModel } from '../../apps/cli/src/local/model.ts';
import { openParties, type PartyKey } from '../../apps/cli/src/local/parties.ts';
import { PARTIES, placesIn, type Party } from '../../apps/cli/src/local/places.ts';
import { anyPorts } from '../../apps/cli/src/local/ports.ts';
import { prepareBrokerKey, prepareIssuerKeys } from '../../apps/cli/src/local/prepare-keys.ts';
import { sealLocalModel } from '../../apps/cli/src/local/seal-model.ts';
import { random, readTrust } from '../../apps/cli/src/local-trust.ts';
import { vaultPolicy } from '../../apps/cli/src/manifest/vault-policy.ts';
import { lineOf, ServiceProcesses, type Started } from './service-processes.ts';
import { firstDraft, KEY, tenantKey } from './vault-draft.ts';

/**
 * A hospital with a vault and no broker. The vault is the vault port of another party's broker, as it
 * is: it speaks Azure's protocol over TLS of its own, and knows nothing of us but what tokens say.
 */
export class VaultScene {
  readonly #folder = mkdtempSync(join(tmpdir(), 'cloister-vault-'));
  readonly places = placesIn(this.#folder);
  readonly #transport = createHttpClient();
  readonly #processes = new ServiceProcesses();
  #parties: Readonly<Record<Party, PartyKey>> | undefined;
  #draft: JsonObject = {};
  #manifest: Manifest | undefined;
  #attestation = '';
  #broker = '';
  #inference = '';
  /** The vault, and the root of its certificates. */
  vault = '';
  #rootPem = '';
  root = '';

  /** Starts the broker whose vault port is the vault, the attestation service, and the AI provider's. */
  async open(): Promise<void> {
    const { places } = this;
    const [parties, platform, issuerKeys, brokerKey, ports] = await Promise.all([
      openParties(places.parties),
      openSimulatedPlatform(places.platform),
      prepareIssuerKeys(places),
      prepareBrokerKey(places, 'diagnostics'),
      anyPorts(),
    ]);
    this.#parties = parties;
    const model = readLocalModel();
    this.#attestation = `http://127.0.0.1:${ports.attestation}`;
    const to = ['--platform', places.platform];
    const broker = await this.#processes.start('key-broker', [
      ...to,
      '--data',
      places.data('broker-diagnostics'),
      '--party',
      'diagnostics',
      '--attestation',
      this.#attestation,
      '--vault-port',
      '0',
    ]);
    this.#broker = broker.url ?? '';
    this.vault = await lineOf(broker, /^vault on (\S+)$/);
    await this.#readRoot();
    this.#draft = await firstDraft({
      parties,
      platform,
      issuer: { iss: this.#attestation, keys: issuerKeys },
      brokerKey,
      vault: { url: this.vault, roots: [this.root] },
      model,
    });
    await this.agree({});
    await this.#processes.start('attestation', [
      ...to,
      '--data',
      places.data('attestation'),
      '--port',
      String(ports.attestation),
      '--manifest',
      places.manifest,
    ]);
    await sealLocalModel(places, model, {
      url: this.#broker,
      manifest: await readTrust(places.manifest),
      party: parties.diagnostics,
      transport: this.#transport,
    });
    const inference = await this.#processes.start('inference', [
      ...to,
      '--data',
      places.data('inference'),
      '--manifest',
      places.manifest,
      '--attestation',
      this.#attestation,
      '--brokers',
      `diagnostics=${this.#broker}`,
      '--model-store',
      places.models,
    ]);
    if (inference.url === undefined) throw new TypeError(inference.said.join('\n'));
    this.#inference = inference.url;
  }

  /** The next manifest, with these members changed, signed by all; the vault and the file have it. */
  async agree(changes: JsonObject): Promise<void> {
    const { serial } = this.#draft;
    const before = this.#manifest;
    this.#draft = {
      ...this.#draft,
      serial: Number(serial) + 1,
      ...(before === undefined ? {} : { previous: await manifestId(before) }),
      ...changes,
    };
    const manifest = parseManifest(JSON.stringify(this.#draft));
    const id = await manifestId(manifest);
    const signatures: Record<string, string> = {};
    for (const party of PARTIES)
      signatures[party] = await signManifest(id, party, this.#keyOf(party));
    const text = JSON.stringify({ manifest, signatures });
    const answer = await this.#transport(
      new Request(`${this.#broker}/v1/manifest`, { method: 'POST', body: text }),
    );
    if (answer.status !== 200) throw new TypeError(`the broker: ${await answer.text()}`);
    writeFileSync(`${this.places.manifest}.new`, text);
    renameSync(`${this.places.manifest}.new`, this.places.manifest);
    this.#manifest = manifest;
  }

  /** Agrees on which versions of the tenant key count, by the vault's numbers as by our own. */
  async agreeOnVersions(numbers: readonly number[]): Promise<void> {
    const secrets = this.#draft['secrets'] as JsonObject;
    await this.agree({ secrets: { ...secrets, 'tenant-key': tenantKey(numbers) } });
  }

  /** Agrees on who vouches for the hospital's vault. */
  async agreeOnRoot(root: string): Promise<void> {
    const parties = this.#draft['parties'] as Record<Party, JsonObject>;
    const hospital = { ...parties.hospital, vault: { url: this.vault, roots: [root] } };
    await this.agree({ parties: { ...parties, hospital } });
  }

  /** Makes the next version of the key in the vault, with the manifest's own release policy or another. */
  async importKey(other?: JsonObject): Promise<void> {
    if (this.#manifest === undefined) throw new TypeError('no manifest');
    const allOf = [other ?? {}];
    const policy =
      other === undefined
        ? await vaultPolicy(this.#manifest, 'tenant-key')
        : { version: '1.0.0', anyOf: [{ authority: this.#attestation, allOf }] };
    const bearer = await signPartyStatement(
      {
        purpose: 'vault-import',
        party: 'diagnostics',
        manifest: await manifestId(this.#manifest),
        keys: [KEY],
        exp: Math.floor(Date.now() / 1000) + 600,
      },
      this.#keyOf('diagnostics'),
    );
    const body = JSON.stringify({
      key: { kty: 'oct-HSM', k: encodeBase64url(random(32)) },
      attributes: { exportable: true },
      release_policy: { data: encodeBase64url(encodeUtf8(JSON.stringify(policy))) },
    });
    const outgoing = httpsRequest(`${this.vault}/keys/${KEY}?api-version=7.4`, {
      method: 'PUT',
      ca: this.#rootPem,
      headers: { authorization: `Bearer ${bearer}`, 'content-type': 'application/json' },
    });
    outgoing.end(body);
    const [answer] = (await once(outgoing, 'response')) as [IncomingMessage];
    answer.resume();
    if (answer.statusCode !== 200) throw new TypeError(`the vault: ${answer.statusCode}`);
  }

  /** Starts `records`; its host says only where things are. */
  startRecords(): Promise<Started> {
    const token = join(this.#folder, 'vault-token');
    writeFileSync(token, 'an-access-token\n');
    const rootFile = join(this.#folder, 'vault-root.pem');
    writeFileSync(rootFile, this.#rootPem);
    const settings = {
      '--data': this.places.data('records'),
      '--platform': this.places.platform,
      '--manifest': this.places.manifest,
      '--attestation': this.#attestation,
      '--inference': this.#inference,
      '--brokers': `diagnostics=${this.#broker}`,
      '--vault-token': token,
      '--accounts': openAccounts(this.places).file,
    };
    const env = { ...process.env, NODE_EXTRA_CA_CERTS: rootFile };
    return this.#processes.start('records', Object.entries(settings).flat(), env);
  }

  /** What the evidence says that `records` gives now, verified as a portal does it. */
  async verify({ url, said }: Started): Promise<{ peer: VerifiedPeer; runtimeData: RuntimeData }> {
    if (url === undefined) throw new TypeError(said.join('\n'));
    const given = { transport: this.#transport, now: () => new Date(), random };
    let shown = new Uint8Array();
    const verdict = await verifyService({
      ...given,
      onEvidence: ({ runtimeData }) => {
        shown = runtimeData;
      },
      baseUrl: url,
      service: 'records',
      manifest: await readTrust(this.places.manifest),
      attestationUrl: this.#attestation,
    });
    if (!verdict.ok) throw new TypeError(`records: ${verdict.code}`);
    return { peer: verdict.claims, runtimeData: parseRuntimeData(shown) };
  }

  async signIn(started: Started): Promise<RecordsClient> {
    const { peer } = await this.verify(started);
    const given = { transport: this.#transport, now: () => new Date(), random };
    const gateway = `${started.url}/.well-known/ohttp-gateway`;
    const records = createRecordsClient(
      createChannel({ ...given, peer, url: gateway, kems: ['x-wing'] }),
    );
    const [account] = openAccounts(this.places).accounts;
    await records.signIn(account?.user ?? '', account?.password ?? '');
    return records;
  }

  /** The status of its readiness. */
  async readiness({ url }: Started): Promise<number> {
    const { status } = await this.#transport(new Request(`${url}/health/ready`));
    return status;
  }

  async close(): Promise<void> {
    await this.#processes.close();
    this.#transport.close();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #keyOf(party: Party): CryptoKey {
    if (this.#parties === undefined) throw new TypeError('no parties yet');
    return this.#parties[party].privateKey;
  }

  async #readRoot(): Promise<void> {
    const { hostname, port } = new URL(this.vault);
    const socket = connect({ host: hostname, port: Number(port), rejectUnauthorized: false });
    await once(socket, 'secureConnect');
    const { raw } = socket.getPeerCertificate(true).issuerCertificate;
    socket.destroy();
    const { spki } = parseCertificate(raw);
    this.root = encodeHex(await sha256(spki));
    this.#rootPem = `-----BEGIN CERTIFICATE-----\n${raw.toString('base64')}\n-----END CERTIFICATE-----\n`;
  }
}
