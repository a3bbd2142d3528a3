import { isZero, MalformedError } from '@cloister/bytes';
import { reportDataMeaning } from './enclave-report-fields.ts';
import { bitNames, FieldReader } from './field-reader.ts';
import type { Inspection, Section } from './inspection.ts';

const POLICY = new Map([
  [16, 'SMT allowed'],
  [17, 'reserved, one'],
  [18, 'MIGRATE_MA: migration agents allowed'],
  [19, 'DEBUG: its memory can be read'],
  [20, 'SINGLE_SOCKET'],
  [21, 'CXL allowed'],
  [22, 'AES-256-XTS required'],
  [23, 'RAPL must be off'],
  [24, 'ciphertext hiding required'],
  [25, 'page swap disabled'],
]);
const PLATFORM = new Map([
  [0, 'SMT on'],
  [1, 'TSME on'],
  [2, 'ECC'],
  [3, 'RAPL off'],
  [4, 'ciphertext hiding'],
  [5, 'alias check complete'],
  [7, 'TIO'],
]);
const SIGNING_KEYS = new Map([
  [0, 'VCEK'],
  [1, 'VLEK'],
  [7, 'none'],
]);
const HOST_VMPL = 0xffff_ffff;
const CPUID_AT = 0x188;
const SIZE = 1184;

/** An SEV-SNP attestation report (spec/evidence.md 9.1); `base` bytes stand before it. */
export function inspectSnpReport(bytes: Uint8Array, base = 0): Inspection {
  const problems: string[] = [];
  const r = new FieldReader(bytes, 'SNP report', base);
  const turin = isTurin(bytes);
  const version = bytes[0] ?? 0;
  try {
    readReport(r, version, turin);
    if (r.remaining > 0) {
      r.section('after the report');
      r.bytes('trailing bytes', r.remaining, () => 'must not be there');
    }
  } catch (error) {
    if (!(error instanceof MalformedError)) throw error;
    problems.push(error.message);
  }
  const kind = `SEV-SNP report, version ${version}`;
  return { kind, size: bytes.length + base, sections: r.sections, problems };
}

/** The sections of a report that stands inside something else. */
export function snpSections(bytes: Uint8Array, base: number): readonly Section[] {
  return inspectSnpReport(bytes.subarray(0, SIZE), base).sections;
}

/** The layout of TCBs depends on the processor, which reports say from version 3 on (9.2). */
function isTurin(bytes: Uint8Array): boolean {
  if ((bytes[0] ?? 0) >= 3) return bytes[CPUID_AT] === 0x1a;
  const chip = bytes.subarray(0x1a0, 0x1e0);
  return !isZero(chip) && isZero(chip.subarray(8));
}

function readReport(r: FieldReader, version: number, turin: boolean): void {
  const tcb = (value: Uint8Array): string => tcbMeaning(value, turin);
  r.section('guest');
  r.u32('VERSION');
  r.u32('GUEST_SVN');
  r.flags64('POLICY', policyMeaning);
  r.bytes('FAMILY_ID', 16);
  r.bytes('IMAGE_ID', 16);
  r.u32('VMPL', (value) => (value === HOST_VMPL ? 'asked for by the host' : undefined));
  r.u32('SIGNATURE_ALGO', (value) => (value === 1 ? 'ECDSA P-384 with SHA-384' : 'not known'));
  r.section('platform');
  r.bytes('CURRENT_TCB', 8, tcb);
  r.flags64('PLATFORM_INFO', (value) => bitNames(value, PLATFORM));
  r.u32('flags', flagsMeaning);
  r.reserved(4);
  r.section('measurements');
  r.bytes('REPORT_DATA', 64, reportDataMeaning);
  r.bytes('MEASUREMENT', 48, () => 'what the guest was launched from');
  r.bytes('HOST_DATA', 32);
  r.bytes('ID_KEY_DIGEST', 48);
  r.bytes('AUTHOR_KEY_DIGEST', 48);
  r.bytes('REPORT_ID', 32);
  r.bytes('REPORT_ID_MA', 32, (value) =>
    value.every((byte) => byte === 0xff) ? 'no migration agent' : undefined,
  );
  r.section('chip');
  r.bytes('REPORTED_TCB', 8, (value) => `${tcb(value)}: the VEK is derived from it`);
  r.u8('CPUID family', (value) => (version < 3 ? 'not said before version 3' : familyName(value)));
  r.u8('CPUID model');
  r.u8('CPUID stepping');
  r.reserved(21);
  r.bytes('CHIP_ID', 64, (value) => (isZero(value) ? 'zero: masked, or a VLEK' : undefined));
  r.bytes('COMMITTED_TCB', 8, tcb);
  for (const name of ['CURRENT', 'COMMITTED']) {
    r.bytes(`${name} version`, 3, ([build, minor, major]) => `${major}.${minor}.${build}`);
    r.reserved(1);
  }
  r.bytes('LAUNCH_TCB', 8, tcb);
  if (version >= 5) {
    r.bytes('LAUNCH_MIT_VECTOR', 8);
    r.bytes('CURRENT_MIT_VECTOR', 8);
    r.reserved(0x2a0 - 0x208);
  } else r.reserved(0x2a0 - 0x1f8);
  r.section('signature');
  r.bytes('R', 72, () => 'little-endian; 48 bytes, then zeros');
  r.bytes('S', 72, () => 'little-endian; 48 bytes, then zeros');
  r.reserved(512 - 144);
}

function policyMeaning(value: bigint): string {
  const [minor, major] = [value & 0xffn, (value >> 8n) & 0xffn];
  return `ABI ${major}.${minor}; ${bitNames((value >> 16n) << 16n, POLICY)}`;
}

function flagsMeaning(value: number): string {
  return [
    `signed by ${SIGNING_KEYS.get((value >> 2) & 7) ?? 'an unknown key'}`,
    ...(value & 1 ? ['AUTHOR_KEY_EN'] : []),
    ...(value & 2 ? ['MASK_CHIP_KEY'] : []),
  ].join(', ');
}

function tcbMeaning(value: Uint8Array, turin: boolean): string {
  const at = (i: number): number => value[i] ?? 0;
  return turin
    ? `FMC ${at(0)}, boot loader ${at(1)}, TEE ${at(2)}, SNP ${at(3)}, microcode ${at(7)}`
    : `boot loader ${at(0)}, TEE ${at(1)}, SNP ${at(6)}, microcode ${at(7)}`;
}

function familyName(value: number): string | undefined {
  if (value === 0x19) return 'Zen 3 or 4: Milan, Genoa';
  return value === 0x1a ? 'Zen 5: Turin' : undefined;
}
