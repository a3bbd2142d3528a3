import * as nodeCrypto from 'node:crypto';
import { createNodePrimitives, type HpkePrimitives } from '@cloister/crypto';

/**
 * What a channel is built from in Node: the synchronous functions of `node:crypto`. They are faster
 * than WebCrypto, and their ML-KEM is not experimental.
 */
export function nodeChannelPrimitives(): HpkePrimitives {
  return createNodePrimitives<nodeCrypto.KeyObject, Buffer>(nodeCrypto, (bytes) =>
    Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength),
  );
}
