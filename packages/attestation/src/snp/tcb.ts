import { MalformedError, type Bytes } from '@cloister/bytes';
import type { SnpClaims, SnpTcb } from '../claims.ts';

/** The product lines whose roots are known; each has keys of its own (spec/evidence.md 9.3, 9.5). */
export type SnpProduct = SnpClaims['product'];

const COMPONENTS = ['fmc', 'bootloader', 'tee', 'snp', 'microcode'] as const;

/** Where each component stands in the eight bytes; all others are reserved (spec/evidence.md 9.2). */
const MILAN = { bootloader: 0, tee: 1, snp: 6, microcode: 7 } as const;
const TURIN = { fmc: 0, bootloader: 1, tee: 2, snp: 3, microcode: 7 } as const;

/**
 * Reads a TCB_VERSION. Its layout depends on the processor, not on the version of the report;
 * MalformedError where a reserved byte is set.
 */
export function parseSnpTcb(bytes: Bytes, product: SnpProduct, name: string): SnpTcb {
  const layout: Readonly<Record<string, number>> = product === 'Turin' ? TURIN : MILAN;
  const used = Object.values(layout);
  if (bytes.length !== 8 || bytes.some((byte, i) => byte !== 0 && !used.includes(i))) {
    throw new MalformedError('bad_value', `${name}: reserved bytes`);
  }
  const at = (index: number): number => bytes[index] ?? 0;
  return product === 'Turin'
    ? {
        fmc: at(TURIN.fmc),
        bootloader: at(TURIN.bootloader),
        tee: at(TURIN.tee),
        snp: at(TURIN.snp),
        microcode: at(TURIN.microcode),
      }
    : {
        bootloader: at(MILAN.bootloader),
        tee: at(MILAN.tee),
        snp: at(MILAN.snp),
        microcode: at(MILAN.microcode),
      };
}

/** Whether each component is the same, and both have the same components. */
export function isSameTcb(a: SnpTcb, b: SnpTcb): boolean {
  return COMPONENTS.every((name) => a[name] === b[name]);
}

/** Whether no component is lower than that of `least`; never compared as one number. */
export function reachesTcb(tcb: SnpTcb, least: Partial<SnpTcb>): boolean {
  return COMPONENTS.every((name) => {
    const wanted = least[name];
    return wanted === undefined || (tcb[name] ?? -1) >= wanted;
  });
}
