import type { VerifiedPeer } from '@cloister/attestation';
import { MalformedError } from '@cloister/bytes';
import { HpkeError, type HpkePrimitives, type KemName } from '@cloister/crypto';
import { ChannelError } from './channel-error.ts';
import { createSuites } from './ohttp/channel-keys.ts';
import { parseKeyConfigs } from './ohttp/key-config.ts';
import type { RecipientKey } from './ohttp/request-encryption.ts';

/** The first key of the peer whose KEM is allowed, by the order of what is allowed. */
export async function selectKey(
  { ohttp = new Uint8Array() }: VerifiedPeer,
  kems: readonly KemName[],
  primitives: HpkePrimitives,
): Promise<RecipientKey> {
  const configs = await guardKey(() => parseKeyConfigs(ohttp));
  for (const kem of kems) {
    const config = configs.find((candidate) => candidate.kem === kem);
    const aead = config?.aeads[0];
    const hpke = aead === undefined ? undefined : createSuites(kem, primitives).get(aead);
    if (config === undefined || hpke === undefined) continue;
    // oxlint-disable-next-line no-await-in-loop -- returns: nothing else is ever awaited
    const publicKey = await guardKey(() => hpke.deserializePublicKey(config.publicKey));
    return { keyId: config.keyId, hpke, publicKey, config: config.bytes };
  }
  throw new ChannelError('no_suite');
}

/** A key that cannot be used is as good as none. */
export async function guardKey<T>(step: () => T | Promise<T>): Promise<T> {
  try {
    return await step();
  } catch (cause) {
    if (!(cause instanceof HpkeError || cause instanceof MalformedError)) throw cause;
    throw new ChannelError('no_suite', { cause });
  }
}
