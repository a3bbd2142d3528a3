import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it, mock } from 'node:test';
import { manifestId, parseManifestFile, verifyManifest } from '@cloister/attestation';
import { encodeHex, encodePem } from '@cloister/bytes';
import { basicConstraintsExtension, createCertificate, encodeName, sha256 } from '@cloister/crypto';
import { run } from '../commands/manifest.ts';
import { diffJson, setAtPointer } from './diff-manifests.ts';

let folder: string;
before(() => {
  folder = mkdtempSync(join(tmpdir(), 'cloister-manifest-'));
});
after(() => rmSync(folder, { recursive: true }));

const at = (name: string) => join(folder, name);
const parse = (name: string) => parseManifestFile(readFileSync(at(name), 'utf8'));

/** Runs an action, and gives its exit code and what it printed. */
async function cli(...args: string[]): Promise<{ code: number; out: string }> {
  let out = '';
  const take = (text: string | Uint8Array): boolean => {
    out += String(text);
    return true;
  };
  const mocks = [process.stdout, process.stderr].map((stream) =>
    mock.method(stream, 'write', take),
  );
  try {
    return { code: await run(args), out };
  } finally {
    for (const one of mocks) one.mock.restore();
  }
}
async function good(...args: string[]): Promise<string> {
  const { code, out } = await cli(...args);
  assert.equal(code, 0, out);
  return out;
}

const ROOT = 'ab'.repeat(32);
const PARTIES = ['hospital', 'platform', 'diagnostics'] as const;

/** As Azure's machines measure, but for the values. */
const AZURE = {
  tee: 'azure-cvm',
  paravisor: {
    tee: 'snp',
    measurement: ['12'.repeat(48)],
    hostData: ['00'.repeat(32)],
    product: 'Milan',
    minTcb: { bootloader: 4, tee: 0, snp: 24, microcode: 219 },
  },
  pcrs: Object.fromEntries(
    [0, 2, 4, 7, 8, 9, 11, 12, 13].map((index) => [`${index}`, '34'.repeat(32)]),
  ),
  isolation: 'vm',
};

/** Three parties, each with a key of its own, draw up and sign one file. */
async function agree(file: string): Promise<void> {
  for (const party of PARTIES) await good('key', at(`${file}-${party}`));
  const key = (party: string) => ['--key', at(`${file}-${party}.jwk`)];
  const first = ['--deployment', 'lamna', '--party', 'hospital', ...key('hospital')];
  await good('init', at(file), ...first, '--simulated-root', ROOT);
  await good('add-party', at(file), 'platform', ...key('platform'));
  await good('add-party', at(file), 'diagnostics', ...key('diagnostics'));
  await good('set-service', at(file), 'records', '--mrenclave', 'a1'.repeat(32));
  for (const party of PARTIES)
    await good('sign', at(file), '--party', party, '--key', at(`${file}-${party}`));
}

describe('cloister manifest', () => {
  it('lets three parties agree by exchanging one file', async () => {
    await agree('one.json');
    const { manifest, signatures } = parse('one.json');
    assert.equal(manifest.serial, 1);
    assert.deepEqual(manifest.quorum.update, { of: [...PARTIES], min: 3 });
    const verdict = await verifyManifest(manifest, signatures, { pinned: undefined });
    assert.ok(verdict.ok);
    const out = await good('verify', at('one.json'));
    assert.match(out, /verified/);
    const pins = (swap: boolean) =>
      PARTIES.flatMap((party) => {
        const key = swap && party === 'hospital' ? 'platform' : party;
        return ['--pin', `${party}=${at(`one.json-${key}.jwk`)}`];
      });
    await good('verify', at('one.json'), '--party', 'hospital', ...pins(false));
    const wrong = await cli('verify', at('one.json'), '--party', 'hospital', ...pins(true));
    assert.equal(wrong.code, 2);
    await assert.rejects(run(['verify', at('one.json'), '--pin', 'x']), /<party>=/);
  });

  it('keeps private keys to their owner, and overwrites none', async () => {
    await good('key', at('mine'));
    assert.equal(statSync(at('mine')).mode & 0o777, 0o600);
    assert.ok(!readFileSync(at('mine.jwk'), 'utf8').includes('"d"'));
    await assert.rejects(run(['key', at('mine')]), /is there already/);
  });

  it('begins the next one where a signed one is changed, and leaves no signature on it', async () => {
    await agree('two.json');
    const first = await manifestId(parse('two.json').manifest);
    writeFileSync(at('serial-1.json'), readFileSync(at('two.json')));
    const out = await good('set', at('two.json'), '/lease', '600');
    assert.match(out, /serial 2 \(a new one\)/);
    const next = parse('two.json');
    assert.equal(next.manifest.previous, first);
    assert.deepEqual(next.signatures, {});
    // A draft that nobody has signed is only changed.
    assert.match(await good('set', at('two.json'), '/lease', '700'), /serial 2, id/);
    assert.equal(parse('two.json').manifest.serial, 2);
    for (const party of PARTIES)
      await good('sign', at('two.json'), '--party', party, '--key', at(`two.json-${party}`));
    const chain = ['--predecessor', at('serial-1.json'), '--party', 'hospital'];
    await good('verify', at('two.json'), ...chain);
    await agree('foreign.json');
    const other = ['--predecessor', at('foreign.json'), '--party', 'hospital'];
    const refused = await cli('verify', at('two.json'), ...other);
    assert.equal(refused.code, 2);
    assert.match(refused.out, /predecessor_mismatch/);
  });

  it('changes nothing where nothing changes', async () => {
    await agree('same.json');
    const text = readFileSync(at('same.json'), 'utf8');
    await good('set', at('same.json'), '/lease', '900');
    assert.equal(readFileSync(at('same.json'), 'utf8'), text);
  });

  it('joins the signatures of parties that signed apart', async () => {
    await agree('apart.json');
    await good('set', at('apart.json'), '/lease', '600');
    writeFileSync(at('copy.json'), readFileSync(at('apart.json')));
    const sign = (file: string, party: string) =>
      good('sign', at(file), '--party', party, '--key', at(`apart.json-${party}`));
    await sign('apart.json', 'hospital');
    await sign('copy.json', 'platform');
    await sign('copy.json', 'diagnostics');
    assert.equal((await cli('verify', at('apart.json'))).code, 2);
    await good('merge', at('apart.json'), at('copy.json'));
    await good('verify', at('apart.json'));
    await assert.rejects(run(['merge', at('apart.json'), at('one.json')]), /two manifests/);
  });

  it("signs with a party's own key only", async () => {
    await agree('own.json');
    const sign = run([
      'sign',
      at('own.json'),
      '--party',
      'hospital',
      '--key',
      at('own.json-platform'),
    ]);
    await assert.rejects(sign, /not one of hospital's/);
    const nobody = run([
      'sign',
      at('own.json'),
      '--party',
      'nobody',
      '--key',
      at('own.json-platform'),
    ]);
    await assert.rejects(nobody, /not one of nobody's/);
    const noKey = run(['sign', at('own.json'), '--party', 'hospital', '--key', at('own.json')]);
    await assert.rejects(noKey, /no private P-256 key/);
  });

  it('does not sign what was built from other sources, where it is asked to look', async () => {
    await agree('foreign-code.json');
    const key = ['--party', 'hospital', '--key', at('foreign-code.json-hospital')];
    const refused = await cli('sign', at('foreign-code.json'), ...key, '--check-measurements');
    assert.equal(refused.code, 2);
    assert.match(refused.out, /not built from these sources: records/);
  });

  it('puts in what this repository measures', async () => {
    await agree('measured.json');
    await good('set-service', at('measured.json'), 'records', '--measure');
    const key = ['--party', 'hospital', '--key', at('measured.json-hospital')];
    await good('sign', at('measured.json'), ...key, '--check-measurements');
    const [one] = parse('measured.json').manifest.services['records']?.identity.anyOf ?? [];
    assert.ok(one?.tee === 'sgx');
    assert.equal(one.isvProdId, 101);
    await good(
      'set-service',
      at('measured.json'),
      'records',
      '--mrenclave',
      'a2'.repeat(32),
      '--add',
    );
    assert.equal(parse('measured.json').manifest.services['records']?.identity.anyOf.length, 2);
    assert.match(await good('show', at('measured.json')), /as strong as the weakest/);
  });

  it('adds a broker by the key that it printed, and its witness', async () => {
    await agree('broker.json');
    await good('key', at('broker-key'));
    const jwk = JSON.parse(readFileSync(at('broker-key.jwk'), 'utf8')) as object;
    writeFileSync(at('prepared.json'), JSON.stringify({ party: 'hospital', brokerKey: jwk }));
    const add = ['add-party', at('broker.json'), 'hospital', '--broker', at('prepared.json')];
    await good(...add, '--witness', 'diagnostics');
    const { parties, quorum } = parse('broker.json').manifest;
    assert.equal(parties['hospital']?.broker?.witness, 'diagnostics');
    assert.equal(parties['hospital']?.keys.length, 1);
    assert.equal(quorum.update.of.length, 3);
    const none = run(['add-party', at('broker.json'), 'platform', '--witness', 'hospital']);
    await assert.rejects(none, /has no broker/);
    await assert.rejects(run(['add-party', at('broker.json'), 'newcomer']), /--key/);
  });

  it('gives a party a vault, by the certificate of who vouches for it, and says what is lost', async () => {
    await agree('vault.json');
    const [root, leaf] = await Promise.all([certificate(true), certificate(false)]);
    writeFileSync(at('root.pem'), root.pem);
    writeFileSync(at('leaf.pem'), leaf.pem);
    const add = ['add-party', at('vault.json'), 'hospital', '--vault', 'https://lamna.example'];
    assert.equal((await cli(...add)).code, 64);
    await assert.rejects(run([...add, '--vault-root', at('leaf.pem')]), /not .* of an authority/);
    await assert.rejects(run([...add, '--vault-root', at('vault.json')]), /no certificates/);
    // Its secrets are in the vault from now on: until that is said, nothing is written.
    const { secrets = {}, counters = {} } = parse('vault.json').manifest;
    for (const name of Object.keys(secrets))
      if (secrets[name]?.owner === 'hospital')
        await good('unset', at('vault.json'), `/secrets/${name}`);
    for (const name of Object.keys(counters))
      await good('unset', at('vault.json'), `/counters/${name}`);
    await good(...add, '--vault-root', at('root.pem'));
    assert.deepEqual(parse('vault.json').manifest.parties['hospital']?.vault, {
      url: 'https://lamna.example',
      roots: [root.digest],
    });
    const key = { key: 'lamna-tenant', versions: { '1': '0a'.repeat(16) } };
    const secret = { owner: 'hospital', type: 'aes256', to: ['records'], vault: key };
    await good('set', at('vault.json'), '/secrets/tenant-key', JSON.stringify(secret));
    const shown = await good('show', at('vault.json'));
    assert.match(
      shown,
      /hospital: 1 key, the vault https:\/\/lamna\.example in the place of a broker/,
    );
    assert.ok(shown.includes(`vouched for under ${root.digest}`));
    for (const lost of ['no heads', 'no counters', 'no audit log', 'unless its release policies'])
      assert.ok(shown.includes(lost), lost);
    assert.match(shown, /key lamna-tenant of its vault, version 1 \((?:0a){16}\)/);
    const none = run(['vault-policy', at('vault.json'), 'nothing']);
    await assert.rejects(none, /in no vault/);
  });

  it('names the JSON pointer of what is wrong, and writes nothing', async () => {
    await agree('strict.json');
    const text = readFileSync(at('strict.json'), 'utf8');
    for (const [pointer, value, expected] of [
      ['/lease', '0', /\/lease/],
      ['/evil', '1', /\/evil/],
      [
        '/secrets/tenant-key',
        '{"owner":"nobody","type":"aes256","to":["records"]}',
        /\/secrets\/tenant-key\/owner/,
      ],
      ['/quorum/update/min', '4', /\/quorum\/update\/min/],
      ['/serial', '9', /follow from/],
      ['lease', '1', /no JSON pointer/],
    ] as const)
      await assert.rejects(run(['set', at('strict.json'), pointer, value]), expected);
    await assert.rejects(run(['unset', at('strict.json'), '/parties']), /\/parties/);
    assert.equal(readFileSync(at('strict.json'), 'utf8'), text);
  });

  it('shows what is to be signed in words, simulated first of all', async () => {
    await agree('shown.json');
    const secret = '{"owner":"hospital","type":"aes256","to":["records"]}';
    await good('set', at('shown.json'), '/secrets/tenant-key', secret);
    const out = await good('show', at('shown.json'));
    for (const expected of [
      /SIMULATED/,
      /any machine of this make/,
      /missing: hospital/,
      /tenant-key: aes256/,
    ])
      assert.match(out, expected);
    const json = JSON.parse(await good('show', at('shown.json'), '--json')) as { id: string };
    assert.equal(json.id, await manifestId(parse('shown.json').manifest));
  });

  it('compares two manifests by pointer', async () => {
    await agree('left.json');
    writeFileSync(at('right.json'), readFileSync(at('left.json')));
    assert.deepEqual(await cli('diff', at('left.json'), at('right.json')), { code: 0, out: '' });
    await good('set-service', at('right.json'), 'records', '--mrenclave', 'a9'.repeat(32));
    const { code, out } = await cli('diff', at('left.json'), at('right.json'));
    assert.equal(code, 2);
    assert.match(out, /^- \/services\/records\/identity\/anyOf\/0\/mrenclave\/- "a1/m);
    assert.match(out, /^\+ \/services\/records\/identity\/anyOf\/0\/mrenclave\/- "a9/m);
    assert.match(out, /^\+ \/serial 2/m);
  });

  it('takes a confidential VM of Azure, shows and compares it, and names what is wrong', async () => {
    await agree('azure.json');
    const set = ['set-service', at('azure.json'), 'records', '--identity', at('identity.json')];
    const write = (identity: object) =>
      writeFileSync(at('identity.json'), JSON.stringify(identity));
    write(AZURE);
    await good(...set);
    const out = await good('show', at('azure.json'));
    for (const expected of [
      /azure-cvm, the whole VM, Secure Boot on/,
      /paravisor: snp (?:12){48}, host data 0{64}, Milan, TCB 4\.0\.24\.219 or newer/,
      /PCR 4 (?:34){32}/,
      /PCR 13 (?:34){32}/,
    ])
      assert.match(out, expected);

    writeFileSync(at('azure-2.json'), readFileSync(at('azure.json')));
    const measurement = ['12'.repeat(48), '13'.repeat(48)];
    const paravisor = { ...AZURE.paravisor, measurement };
    write({ ...AZURE, paravisor, pcrs: { ...AZURE.pcrs, '11': '56'.repeat(32) } });
    await good('set-service', at('azure-2.json'), ...set.slice(2));
    const diff = await cli('diff', at('azure.json'), at('azure-2.json'));
    const where = '/services/records/identity/anyOf/0';
    assert.equal(diff.code, 2);
    assert.deepEqual(diff.out.trim().split('\n'), [
      `+ ${where}/paravisor/measurement/- "${'13'.repeat(48)}"`,
      `- ${where}/pcrs/11 "${'34'.repeat(32)}"`,
      `+ ${where}/pcrs/11 "${'56'.repeat(32)}"`,
    ]);

    const { '12': _, ...short } = AZURE.pcrs;
    write({ ...AZURE, pcrs: short });
    await assert.rejects(run(set), /\/services\/records\/identity\/anyOf\/0\/pcrs\/12/);
    write({ ...AZURE, paravisor: { ...AZURE.paravisor, vmpl: 1 } });
    await assert.rejects(run(set), /\/anyOf\/0\/paravisor\/vmpl/);
    const { paravisor: __, ...bare } = AZURE;
    write(bare);
    await assert.rejects(run(set), /\/anyOf\/0\/paravisor/);
  });

  it('explains itself where it is used wrongly', async () => {
    for (const args of [[], ['none'], ['show'], ['sign', at('one.json')], ['show', 'a', '--bad']]) {
      const { code, out } = await cli(...args);
      assert.equal(code, 64, args.join(' '));
      assert.match(out, /cloister manifest <action>/);
    }
    assert.equal((await cli('--help')).code, 0);
    await assert.rejects(run(['show', at('missing.json')]), /cannot read/);
  });
});

describe('diffJson and setAtPointer', () => {
  it('are each other’s inverse on what changed', () => {
    const one = { a: { b: [1, { c: 2 }], 'x/y': 1 }, gone: true };
    const two = { a: { b: [1, { c: 3 }], 'x/y': 2 }, come: null };
    let value: Parameters<typeof setAtPointer>[0] = one;
    for (const { pointer, after: to } of diffJson(one, two))
      value = setAtPointer(value, pointer, to);
    assert.deepEqual(value, two);
    assert.deepEqual(diffJson(two, two), []);
  });

  it('compare lists of texts as sets', () => {
    assert.deepEqual(diffJson(['a', 'b'], ['b', 'c']), [
      { pointer: '/-', before: 'a', after: undefined },
      { pointer: '/-', before: undefined, after: 'c' },
    ]);
  });
});

/** A certificate of an authority, or of somebody else, and the digest of its key. */
async function certificate(
  ca: boolean,
): Promise<{ readonly pem: string; readonly digest: string }> {
  const ec = { name: 'ECDSA', namedCurve: 'P-256' };
  const keys = await crypto.subtle.generateKey(ec, true, ['sign', 'verify']);
  const publicKey = new Uint8Array(await crypto.subtle.exportKey('spki', keys.publicKey));
  const name = encodeName({ commonName: 'tests' });
  const der = await createCertificate({
    subject: name,
    issuer: name,
    serial: '01',
    notBefore: new Date('2026-01-01T00:00:00Z'),
    notAfter: new Date('2027-01-01T00:00:00Z'),
    publicKey,
    signer: keys.privateKey,
    extensions: [basicConstraintsExtension({ ca })],
  });
  return { pem: encodePem('CERTIFICATE', der), digest: encodeHex(await sha256(publicKey)) };
}
