import {
  copyBytes,
  DER,
  DerReader,
  encodeDerOid,
  MalformedError,
  type Bytes,
} from '@cloister/bytes';
import type { PlatformSvns } from './tcb-level.ts';

/** The SGX extension of PCK certificates (spec/evidence.md 2.4). */
export const SGX_EXTENSION_OID = '1.2.840.113741.1.13.1';

/** What a PCK certificate says of its platform. */
export interface PckExtension extends PlatformSvns {
  readonly ppid: Bytes;
  /** Opaque; TCB levels are matched by the 16 components. */
  readonly cpuSvn: Bytes;
  readonly pceId: Bytes;
  readonly fmspc: Bytes;
  readonly sgxType: 'standard' | 'scalable' | 'scalable-with-integrity';
  /** In certificates by the Platform CA. */
  readonly platformInstanceId?: Bytes;
  /** In certificates by the Platform CA. */
  readonly configuration?: PckConfiguration;
}

/** How a multi-package platform is configured. */
export interface PckConfiguration {
  readonly dynamicPlatform?: boolean;
  readonly cachedKeys?: boolean;
  readonly smtEnabled?: boolean;
}

const NAME = 'PCK extension';
const SGX_TYPES = ['standard', 'scalable', 'scalable-with-integrity'] as const;
const CONFIGURATION = ['dynamicPlatform', 'cachedKeys', 'smtEnabled'] as const;
/** Arcs of the 16 components of a TCB. */
const COMPONENTS = Array.from({ length: 16 }, (_, i) => i + 1);
/** What the identifiers of the entries begin with, as encoded: read a few dozen times for each. */
const ARCS = encodeDerOid(SGX_EXTENSION_OID).subarray(2);
const TCB_ARCS = Uint8Array.of(...ARCS, 2);
const CONFIGURATION_ARCS = Uint8Array.of(...ARCS, 7);

/**
 * Reads the extension's value: five entries, or seven in certificates by the Platform CA, each
 * once. MalformedError for all else.
 */
export function parsePckExtension(value: Uint8Array): PckExtension {
  const entries = readEntries(new DerReader(value, NAME), ARCS);
  const take = (arc: number): DerReader => entries.get(arc) ?? missing(String(arc));
  const tcb = readEntries(take(2), TCB_ARCS);
  const takeTcb = (arc: number): DerReader => tcb.get(arc) ?? missing(`2.${arc}`);
  const extension = {
    ppid: readOctets(take(1), 16),
    components: COMPONENTS.map((arc) => readInteger(takeTcb(arc), 0xff)),
    pceSvn: readInteger(takeTcb(17), 0xffff),
    cpuSvn: readOctets(takeTcb(18), 16),
    pceId: readOctets(take(3), 2),
    fmspc: readOctets(take(4), 6),
    sgxType: readSgxType(take(5)),
  };
  if (tcb.size !== 18) throw new MalformedError('bad_value', `${NAME}: TCB`);
  if (entries.size === 5) return extension;
  if (entries.size !== 7) throw new MalformedError('bad_value', `${NAME}: number of entries`);
  return {
    ...extension,
    platformInstanceId: readOctets(take(6), 16),
    configuration: readConfiguration(take(7)),
  };
}

/** A SEQUENCE OF {OID, value}: cursors at the values, by the arc after the encoded prefix. */
function readEntries(outer: DerReader, prefix: Uint8Array): Map<number, DerReader> {
  const entries = new Map<number, DerReader>();
  const list = outer.enter(DER.SEQUENCE);
  outer.end();
  while (!list.done) {
    const entry = list.enter(DER.SEQUENCE);
    const arc = entry.arcBelow(prefix);
    if (arc === undefined || entries.has(arc)) entry.fail();
    else entries.set(arc, entry);
  }
  return entries;
}

function missing(arc: string): never {
  throw new MalformedError('truncated', `${NAME}: entry ${arc}`);
}

function readOctets(reader: DerReader, size: number): Bytes {
  const { value } = reader.expect(DER.OCTET_STRING);
  reader.end();
  return value.length === size ? copyBytes(value) : reader.fail();
}

function readInteger(reader: DerReader, max: number): number {
  const value = reader.smallInteger();
  reader.end();
  return value <= max ? value : reader.fail();
}

function readSgxType(reader: DerReader): PckExtension['sgxType'] {
  const { value } = reader.expect(DER.ENUMERATED);
  reader.end();
  const type = value.length === 1 ? SGX_TYPES[value[0] ?? 0xff] : undefined;
  return type ?? reader.fail();
}

function readConfiguration(reader: DerReader): PckConfiguration {
  const entries = readEntries(reader, CONFIGURATION_ARCS);
  const configuration: { -readonly [K in keyof PckConfiguration]: PckConfiguration[K] } = {};
  for (const [arc, entry] of entries) {
    const name = CONFIGURATION[arc - 1] ?? entry.fail();
    configuration[name] = entry.boolean();
    entry.end();
  }
  return configuration;
}
