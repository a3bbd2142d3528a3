import { type Bytes, concatBytes, copyBytes, encodeUtf8 } from '@cloister/bytes';
import { agree, guard } from './dh-kem.ts';
import { HpkeError } from './hpke-error.ts';
import { KEM_IDS, type Kem, type KemPrivateKey } from './kem.ts';
import { shake256 } from './keccak.ts';
import { encodeUint16 } from './labeled-kdf.ts';
import type { HpkePrimitives } from './primitives.ts';

const ML_KEM_CIPHERTEXT = 1088;
const ML_KEM_PUBLIC_KEY = 1184;
const ENC_SIZE = ML_KEM_CIPHERTEXT + 32;
const PUBLIC_KEY_SIZE = ML_KEM_PUBLIC_KEY + 32;
/** XWingLabel: the ASCII drawing of an X-wing. */
const LABEL = encodeUtf8('\\.//^\\');
const DERIVE_LABEL = encodeUtf8('DeriveKeyPair');

/**
 * X-Wing: ML-KEM-768 and X25519 in one KEM (draft-connolly-cfrg-xwing-kem). It stays secret as long as
 * either of the two holds. All-zero X25519 results are refused here too, though the draft would take them.
 */
export function createXWing(primitives: HpkePrimitives): Kem {
  const { mlKem768, x25519 } = primitives;
  const id = KEM_IDS['x-wing'];

  async function deserializePrivateKey(bytes: Bytes): Promise<KemPrivateKey> {
    if (bytes.length !== 32) throw new HpkeError('bad_private_key');
    const seed = copyBytes(bytes);
    const expanded = shake256(seed, 96);
    const [mlKem, dh] = await guard('bad_private_key', () =>
      Promise.all([mlKem768.import(expanded.slice(0, 64)), x25519.import(expanded.slice(64, 96))]),
    );
    expanded.fill(0);
    return {
      kem: 'x-wing',
      publicKey: concatBytes(mlKem.publicKey, dh.publicKey),
      serialize: () => copyBytes(seed),
      async decapsulate(enc) {
        if (enc.length !== ENC_SIZE) throw new HpkeError('bad_encapsulation');
        const ciphertext = enc.slice(0, ML_KEM_CIPHERTEXT);
        const peer = enc.slice(ML_KEM_CIPHERTEXT);
        const [lattice, curve] = await Promise.all([
          guard('bad_encapsulation', () => mlKem.decapsulate(ciphertext)),
          agree(dh, peer, 'bad_encapsulation'),
        ]);
        return combine(primitives, lattice, curve, peer, dh.publicKey);
      },
    };
  }

  return {
    name: 'x-wing',
    id,
    sizes: { secret: 32, enc: ENC_SIZE, publicKey: PUBLIC_KEY_SIZE, privateKey: 32 },
    generateKeyPair: async () => deserializePrivateKey(await primitives.generateSecret()),
    // draft-ietf-hpke-pq: LabeledDerive with SHAKE256 (draft-ietf-hpke-hpke section 4).
    deriveKeyPair: (ikm) =>
      deserializePrivateKey(
        shake256(
          concatBytes(
            ikm,
            encodeUtf8('HPKE-v1'),
            encodeUtf8('KEM'),
            encodeUint16(id),
            encodeUint16(DERIVE_LABEL.length),
            DERIVE_LABEL,
            encodeUint16(32),
          ),
          32,
        ),
      ),
    deserializePrivateKey,
    async deserializePublicKey(bytes) {
      if (bytes.length !== PUBLIC_KEY_SIZE) throw new HpkeError('bad_public_key');
      const publicKey = copyBytes(bytes);
      const mlKem = await guard('bad_public_key', () =>
        mlKem768.importPublic(publicKey.slice(0, ML_KEM_PUBLIC_KEY)),
      );
      const dhPublicKey = publicKey.slice(ML_KEM_PUBLIC_KEY);
      return {
        kem: 'x-wing',
        bytes: publicKey,
        async encapsulate() {
          const [lattice, ephemeral] = await Promise.all([
            guard('bad_public_key', () => mlKem.encapsulate()),
            x25519.generate(),
          ]);
          const curve = await agree(ephemeral, dhPublicKey, 'bad_public_key');
          const { sharedSecret: secret, ciphertext } = lattice;
          return {
            enc: concatBytes(ciphertext, ephemeral.publicKey),
            sharedSecret: await combine(
              primitives,
              secret,
              curve,
              ephemeral.publicKey,
              dhPublicKey,
            ),
          };
        },
      };
    },
  };
}

/** The Combiner of the draft's section 5.3. */
async function combine(
  primitives: HpkePrimitives,
  lattice: Bytes,
  curve: Bytes,
  dhCiphertext: Bytes,
  dhPublicKey: Bytes,
): Promise<Bytes> {
  return primitives.sha3Of256(concatBytes(lattice, curve, dhCiphertext, dhPublicKey, LABEL));
}
