import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import * as nodeCrypto from 'node:crypto';
import { describe, it } from 'node:test';
import { type Bytes, decodeHex, encodeHex, encodeUtf8 } from '@cloister/bytes';
import * as peer from 'hpke';
import { shared, sharedMissing } from '../../../../tests/shared.ts';
import { AEAD_IDS, createHpke, type AeadName } from './hpke.ts';
import { KEM_IDS, type KemName } from './kem.ts';
import { createNodePrimitives } from './node-primitives.ts';
import type { HpkePrimitives } from './primitives.ts';
import { WEB_PRIMITIVES } from './web-primitives.ts';

interface Vector {
  readonly kem_id: number;
  readonly kdf_id: number;
  readonly aead_id: number;
  readonly info: string;
  readonly ikmR: string;
  readonly skRm: string;
  readonly skEm?: string;
  readonly pkRm: string;
  readonly enc: string;
  readonly shared_secret: string;
  readonly encryptions: readonly {
    seq: number;
    aad: string;
    ct: string;
    nonce: string;
    pt: string;
  }[];
  readonly exports: readonly { exporter_context: string; L: number; exported_value: string }[];
}

function load(name: string): Record<string, readonly Vector[]> {
  if (sharedMissing) return {};
  const text = readFileSync(shared(`vectors/protocol/${name}.json`), 'utf8');
  return JSON.parse(text) as Record<string, readonly Vector[]>;
}

const PROVIDERS: readonly (readonly [string, HpkePrimitives])[] = [
  ['WebCrypto', WEB_PRIMITIVES],
  [
    'node:crypto',
    createNodePrimitives<nodeCrypto.KeyObject, Buffer>(nodeCrypto, (bytes) => Buffer.from(bytes)),
  ],
];
const KEMS: readonly KemName[] = ['x-wing', 'x25519', 'p-256'];
const AEADS: readonly AeadName[] = ['aes-128-gcm', 'aes-256-gcm'];
const kemOf = (id: number) => KEMS.find((kem) => KEM_IDS[kem] === id) ?? assert.fail('unknown KEM');
const aeadOf = (id: number) => AEADS.find((aead) => AEAD_IDS[aead] === id);

async function checkVector(vector: Vector, primitives: HpkePrimitives): Promise<void> {
  const kem = kemOf(vector.kem_id);
  const aead = aeadOf(vector.aead_id) ?? 'aes-256-gcm';
  const hpke = createHpke({ kem, kdf: 'hkdf-sha256', aead, primitives });
  const info = decodeHex(vector.info);
  const key = await hpke.deriveKeyPair(decodeHex(vector.ikmR));
  assert.equal(encodeHex(key.serialize()), vector.skRm);
  assert.equal(encodeHex(key.publicKey), vector.pkRm);
  const enc = decodeHex(vector.enc);
  assert.equal(encodeHex(await key.decapsulate(enc)), vector.shared_secret);
  if (aeadOf(vector.aead_id) === undefined || vector.kdf_id !== 1) return;

  const recipient = await hpke.setupRecipient(key, enc, info);
  await checkExports(recipient, vector);
  // The ciphertexts are sealed again by a sender whose shared secret is the vector's.
  const publicKey = {
    kem,
    bytes: key.publicKey,
    encapsulate: () => Promise.resolve({ enc, sharedSecret: decodeHex(vector.shared_secret) }),
  };
  const { context: sender } = await hpke.setupSender(publicKey, info);
  await checkExports(sender, vector);
  let sequence = 0;
  for (const { seq, aad, ct, pt } of vector.encryptions) {
    for (; sequence < seq; sequence++) {
      const between = await sender.seal(encodeUtf8('skipped'));
      assert.equal(encodeHex(await recipient.open(between)), encodeHex(encodeUtf8('skipped')));
    }
    assert.equal(encodeHex(await sender.seal(decodeHex(pt), decodeHex(aad))), ct);
    assert.equal(encodeHex(await recipient.open(decodeHex(ct), decodeHex(aad))), pt);
    sequence++;
  }
}

async function checkExports(
  context: { export(exporterContext: Bytes, length: number): Promise<Bytes> },
  vector: Vector,
): Promise<void> {
  for (const { exporter_context, L, exported_value } of vector.exports) {
    const value = await context.export(decodeHex(exporter_context), L);
    assert.equal(encodeHex(value), exported_value);
  }
}

describe('HPKE vectors', { skip: sharedMissing }, () => {
  const rfc = load('hpke-rfc9180')['vectors'] ?? [];
  it('are there', () => assert.ok(rfc.length > 0));
  for (const vector of rfc) {
    const name = `${kemOf(vector.kem_id)}, AEAD ${vector.aead_id}`;
    for (const [provider, primitives] of PROVIDERS) {
      it(`RFC 9180 appendix A: ${name}, ${provider}`, () => checkVector(vector, primitives));
    }

    it(`RFC 9180 appendix A, encapsulation with the given ephemeral key: ${name}`, async () => {
      const kem = kemOf(vector.kem_id);
      const group = kem === 'x25519' ? 'x25519' : 'p256';
      const ephemeral = decodeHex(vector.skEm ?? assert.fail());
      const primitives = {
        ...WEB_PRIMITIVES,
        [group]: {
          ...WEB_PRIMITIVES[group],
          generate: () => WEB_PRIMITIVES[group].import(ephemeral),
        },
      };
      const hpke = createHpke({ kem, kdf: 'hkdf-sha256', aead: 'aes-128-gcm', primitives });
      const publicKey = await hpke.deserializePublicKey(decodeHex(vector.pkRm));
      const { enc, sharedSecret } = await publicKey.encapsulate();
      assert.equal(encodeHex(enc), vector.enc);
      assert.equal(encodeHex(sharedSecret), vector.shared_secret);
    });
  }

  const xWing = load('hpke-xwing');
  for (const set of ['vectors', 'earlierVectors', 'derivedVectors']) {
    const entries = xWing[set] ?? [];
    it(`X-Wing ${set} are there`, () => assert.ok(entries.length > 0));
    for (const [i, vector] of entries.entries()) {
      for (const [provider, primitives] of PROVIDERS) {
        const name = `X-Wing ${set} ${i} (KDF ${vector.kdf_id}, AEAD ${vector.aead_id})`;
        it(`${name}, ${provider}`, () => checkVector(vector, primitives));
      }
    }
  }
});

const PEER_KEMS = {
  'x-wing': peer.KEM_MLKEM768_X25519,
  x25519: peer.KEM_DHKEM_X25519_HKDF_SHA256,
  'p-256': peer.KEM_DHKEM_P256_HKDF_SHA256,
};
const PEER_AEADS = { 'aes-128-gcm': peer.AEAD_AES_128_GCM, 'aes-256-gcm': peer.AEAD_AES_256_GCM };

const CASES = KEMS.flatMap((kem) =>
  AEADS.flatMap((aead) => PROVIDERS.map((provider) => [kem, aead, ...provider] as const)),
);
for (const [kem, aead, provider, primitives] of CASES) {
  describe(`HPKE ${kem} ${aead} on ${provider}`, () => {
    const hpke = createHpke({ kem, kdf: 'hkdf-sha256', aead, primitives });
    const suite = new peer.CipherSuite(PEER_KEMS[kem], peer.KDF_HKDF_SHA256, PEER_AEADS[aead]);
    const info = encodeUtf8('info');
    const aad = encodeUtf8('aad');

    async function pair() {
      const key = await hpke.generateKeyPair();
      const publicKey = await hpke.deserializePublicKey(key.publicKey);
      const { enc, context } = await hpke.setupSender(publicKey, info);
      return { key, publicKey, enc, sender: context };
    }

    it('opens what the hpke package sealed', async () => {
      const key = await hpke.generateKeyPair();
      const publicKey = await suite.DeserializePublicKey(key.publicKey);
      const { encapsulatedSecret, ctx } = await suite.SetupSender(publicKey, { info });
      const recipient = await hpke.setupRecipient(key, new Uint8Array(encapsulatedSecret), info);
      for (const text of ['one', '', 'three']) {
        const ciphertext = new Uint8Array(await ctx.Seal(encodeUtf8(text), aad));
        assert.deepEqual(await recipient.open(ciphertext, aad), encodeUtf8(text));
      }
      const exported = new Uint8Array(await ctx.Export(info, 40));
      assert.deepEqual(await recipient.export(info, 40), exported);
    });

    it('seals what the hpke package opens', async () => {
      const theirs = await suite.GenerateKeyPair(true);
      const bytes = new Uint8Array(await suite.SerializePublicKey(theirs.publicKey));
      const publicKey = await hpke.deserializePublicKey(bytes);
      const { enc, context } = await hpke.setupSender(publicKey, info);
      const recipient = await suite.SetupRecipient(theirs, enc, { info });
      for (const text of ['one', '', 'three']) {
        const opened = await recipient.Open(await context.seal(encodeUtf8(text), aad), aad);
        assert.deepEqual(new Uint8Array(opened), encodeUtf8(text));
      }
    });

    it('gives the key back from its serialised form', async () => {
      const { key } = await pair();
      const again = await hpke.deserializePrivateKey(key.serialize());
      assert.deepEqual(again.publicKey, key.publicKey);
    });

    it('refuses another info, aad, order, and every flipped bit of a ciphertext', async () => {
      const { key, enc, sender } = await pair();
      const sealed = await sender.seal(encodeUtf8('x'), aad);
      const other = await hpke.setupRecipient(key, enc, encodeUtf8('other'));
      await assert.rejects(other.open(sealed, aad), { code: 'open_failed' });
      const recipient = await hpke.setupRecipient(key, enc, info);
      await assert.rejects(recipient.open(sealed), { code: 'open_failed' });
      const second = await sender.seal(encodeUtf8('y'), aad);
      await assert.rejects(recipient.open(second, aad), { code: 'open_failed' });
      for (let bit = 0; bit < sealed.length * 8; bit++) {
        const flipped = sealed.slice();
        flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
        await assert.rejects(recipient.open(flipped, aad), { code: 'open_failed' });
      }
      assert.deepEqual(await recipient.open(sealed, aad), encodeUtf8('x'));
      assert.deepEqual(await recipient.open(second, aad), encodeUtf8('y'));
    });

    it('never uses a nonce twice, also for seals at the same time', async () => {
      const { sender } = await pair();
      const same = encodeUtf8('same');
      const sealed = await Promise.all(Array.from({ length: 16 }, () => sender.seal(same)));
      assert.equal(new Set(sealed.map(encodeHex)).size, 16);
    });

    it('refuses keys and encapsulations of other lengths', async () => {
      const { key, enc } = await pair();
      for (const bytes of [enc.slice(1), new Uint8Array([...enc, 0]), new Uint8Array()]) {
        await assert.rejects(hpke.setupRecipient(key, bytes, info), {
          code: 'bad_encapsulation',
        });
      }
      const long = new Uint8Array([...key.publicKey, 0]);
      for (const bytes of [key.publicKey.slice(1), long, new Uint8Array()]) {
        await assert.rejects(async () => hpke.deserializePublicKey(bytes), {
          code: 'bad_public_key',
        });
      }
      for (const length of [0, 31, 33]) {
        await assert.rejects(hpke.deserializePrivateKey(new Uint8Array(length)), {
          code: 'bad_private_key',
        });
      }
    });

    it('refuses keys of another KEM', async () => {
      const stranger = createHpke({
        kem: kem === 'x25519' ? 'p-256' : 'x25519',
        kdf: 'hkdf-sha256',
        aead,
      });
      const key = await stranger.generateKeyPair();
      const publicKey = await stranger.deserializePublicKey(key.publicKey);
      await assert.rejects(hpke.setupSender(publicKey, info), { code: 'bad_public_key' });
      const { enc } = await pair();
      await assert.rejects(hpke.setupRecipient(key, enc, info), { code: 'bad_private_key' });
    });
  });
}

describe('P-256 public keys', () => {
  const hpke = createHpke({ kem: 'p-256', kdf: 'hkdf-sha256', aead: 'aes-128-gcm' });

  it('must be uncompressed points on the curve', async () => {
    const key = await hpke.generateKeyPair();
    const off = key.publicKey.slice();
    off[64] = (off[64] ?? 0) ^ 1;
    const hybrid = key.publicKey.slice();
    hybrid[0] = 6 + ((hybrid[64] ?? 0) & 1);
    for (const bytes of [off, hybrid, new Uint8Array(65)]) {
      const publicKey = await hpke.deserializePublicKey(bytes);
      await assert.rejects(publicKey.encapsulate(), { code: 'bad_public_key' });
      await assert.rejects(key.decapsulate(bytes), { code: 'bad_encapsulation' });
    }
  });

  it('refuses private scalars outside the group', async () => {
    for (const hex of ['00'.repeat(32), 'ff'.repeat(32)]) {
      await assert.rejects(hpke.deserializePrivateKey(decodeHex(hex)), { code: 'bad_private_key' });
    }
  });
});
