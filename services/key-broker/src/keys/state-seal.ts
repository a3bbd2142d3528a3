import type { Bytes } from '@cloister/bytes';
import { openBytes, sealBytes, type Random } from '@cloister/sealing';

/** Length of the key that seals a broker's state. */
export const STATE_KEY_LENGTH = 32;

/** Seals what a broker keeps: under its state key, for its party, under the name where it lies. */
export interface StateSeal {
  seal(name: string, value: Uint8Array): Promise<Bytes>;
  /** TamperedError where it was sealed by another broker, for another place, or changed. */
  open(name: string, sealed: Uint8Array): Promise<Bytes>;
  /** The state key itself: what the shares of a recovery set split. */
  readonly stateKey: Bytes;
}

/** The seal of a party's broker. */
export function createStateSeal(stateKey: Bytes, party: string, random: Random): StateSeal {
  const infoOf = (name: string): string => `cloister-broker/${party}/${name}`;
  return {
    stateKey,
    seal: (name, value) => sealBytes(stateKey, value, infoOf(name), random),
    open: (name, sealed) => openBytes(stateKey, sealed, infoOf(name)),
  };
}
