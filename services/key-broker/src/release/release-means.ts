import type { VerificationCache } from '@cloister/attestation';
import type { Random } from '@cloister/sealing';
import type { NonceMemory } from '../trust/nonce-memory.ts';

/** What evidence is judged with, and what is given for it is made with. */
export interface ReleaseMeans {
  /** The nonces that this broker gave, each good once. */
  readonly nonces: NonceMemory;
  readonly random: Random;
  readonly cache: VerificationCache;
}
