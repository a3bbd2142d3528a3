import { copyBytes, DerReader, MalformedError, type Bytes } from '@cloister/bytes';
import type { Certificate } from '@cloister/crypto';
import type { SnpTcb } from '../claims.ts';

const PREFIX = '1.3.6.1.4.1.3704.1.';
const IA5_STRING = 0x16;
/** Levels that are reserved: zero where they are there. */
const RESERVED = ['3.4', '3.5', '3.6', '3.7'];
/** Whole OIDs, by the arcs behind AMD's prefix: made once, for they are looked up in a map. */
const OIDS = new Map(
  ['1', '2', '3.1', '3.2', '3.3', ...RESERVED, '3.8', '3.9', '4', '5'].map((arc) => [
    arc,
    `${PREFIX}${arc}`,
  ]),
);

/** What a VCEK or VLEK certificate says of its chip or provider (spec/evidence.md 9.5). */
export interface VekExtensions {
  /** 0 for Milan and Genoa, 1 for Turin. */
  readonly structVersion: number;
  /** "Milan-B0", "Genoa", "Turin": with or without a stepping. */
  readonly productName: string;
  readonly tcb: SnpTcb;
  /** The chip, of VCEKs: 64 bytes, Turin 8. */
  readonly hwId?: Bytes;
  /** The provider, of VLEKs. */
  readonly cspId?: string;
}

/**
 * Reads the extensions of a VEK certificate. A VCEK names a chip and no provider, a VLEK the other
 * way round; only Turin's has a level of the FMC. MalformedError for all else.
 */
export function parseVekExtensions(certificate: Certificate, kind: 'vcek' | 'vlek'): VekExtensions {
  const name = kind.toUpperCase();
  const find = (arc: string): Bytes | undefined =>
    certificate.extensions.get(OIDS.get(arc) ?? '')?.value;
  const take = (arc: string): Bytes => find(arc) ?? missing(`${name}: extension ${arc}`);
  const integer = (arc: string): number => readInteger(take(arc), `${name}: extension ${arc}`);
  for (const arc of RESERVED) {
    const value = find(arc);
    if (value !== undefined && readInteger(value, `${name}: extension ${arc}`) !== 0) {
      throw new MalformedError('bad_value', `${name}: reserved level ${arc}`);
    }
  }
  const structVersion = integer('1');
  if (structVersion > 1) throw new MalformedError('bad_value', `${name}: structVersion`);
  if ((structVersion === 1) !== (find('3.9') !== undefined)) {
    throw new MalformedError('bad_value', `${name}: fmcSPL`);
  }
  const levels = {
    bootloader: integer('3.1'),
    tee: integer('3.2'),
    snp: integer('3.3'),
    microcode: integer('3.8'),
  };
  const facts = {
    structVersion,
    productName: readText(take('2'), `${name}: productName`),
    tcb: structVersion === 1 ? { fmc: integer('3.9'), ...levels } : levels,
  };
  const [hwId, cspId] = [find('4'), find('5')];
  if ((hwId === undefined) === (kind === 'vcek') || (cspId === undefined) === (kind === 'vlek')) {
    throw new MalformedError('bad_value', `${name}: hwID and cspID`);
  }
  if (cspId !== undefined) return { ...facts, cspId: readText(cspId, `${name}: cspID`) };
  // hwID is the bare bytes: no DER around them.
  const chip = copyBytes(hwId ?? missing(`${name}: hwID`));
  if (chip.length !== (structVersion === 1 ? 8 : 64)) {
    throw new MalformedError('bad_value', `${name}: length of hwID`);
  }
  return { ...facts, hwId: chip };
}

function missing(where: string): never {
  throw new MalformedError('truncated', where);
}

function readInteger(value: Bytes, name: string): number {
  const reader = new DerReader(value, name);
  const number = reader.smallInteger();
  reader.end();
  return number <= 0xff ? number : reader.fail();
}

function readText(value: Bytes, name: string): string {
  const reader = new DerReader(value, name);
  const text = reader.expect(IA5_STRING).value;
  reader.end();
  if (text.length === 0 || text.length > 256 || text.some((byte) => byte < 0x20 || byte > 0x7e)) {
    reader.fail();
  }
  return String.fromCharCode(...text);
}
