import { asBytes, isZero, MalformedError, Reader, type Bytes } from '@cloister/bytes';

/** How long every attestation report is (spec/evidence.md 9.1). */
const SNP_REPORT_SIZE = 1184;
const SIGNED_SIZE = 0x2a0;
const NAME = 'SNP report';
/** VMPL of a report that the host asked for, not the guest. */
const HOST_VMPL = 0xffff_ffff;

/** The processor that made a report of version 3 or later. */
export interface SnpCpuid {
  readonly family: number;
  readonly model: number;
  readonly stepping: number;
}

/** A report as read (spec/evidence.md 9.1): nothing in it is verified. */
export interface SnpReport {
  readonly version: number;
  readonly guestSvn: number;
  readonly policy: bigint;
  readonly familyId: Bytes;
  readonly imageId: Bytes;
  readonly vmpl: number;
  readonly currentTcb: Bytes;
  readonly platformInfo: bigint;
  readonly authorKeyEnabled: boolean;
  readonly maskChipKey: boolean;
  /** 0 VCEK, 1 VLEK, 7 none. */
  readonly signingKey: number;
  readonly reportData: Bytes;
  readonly measurement: Bytes;
  readonly hostData: Bytes;
  readonly idKeyDigest: Bytes;
  readonly authorKeyDigest: Bytes;
  readonly reportId: Bytes;
  readonly reportIdMa: Bytes;
  readonly reportedTcb: Bytes;
  /** null in version 2, which does not say. */
  readonly cpuid: SnpCpuid | null;
  readonly chipId: Bytes;
  readonly committedTcb: Bytes;
  /** Of the firmware: major, minor, build. */
  readonly currentVersion: readonly [number, number, number];
  readonly committedVersion: readonly [number, number, number];
  readonly launchTcb: Bytes;
  /** From version 5 on. */
  readonly launchMitVector?: Bytes;
  /** From version 5 on. */
  readonly currentMitVector?: Bytes;
  /** What the signature covers. */
  readonly signed: Bytes;
  /** r ‖ s, 48 bytes each, big-endian: as WebCrypto takes it. */
  readonly signature: Bytes;
}

/**
 * Reads a report of version 2 to 5, exactly 1184 bytes. MalformedError where a byte is set that
 * must be zero: those behind the signed region are covered by no signature, and a reader that
 * ignores them lets one report have many forms. Unknown PLATFORM_INFO bits are let through.
 */
export function parseSnpReport(bytes: Uint8Array): SnpReport {
  const r = new Reader(bytes, NAME);
  if (bytes.length > SNP_REPORT_SIZE) r.fail('trailing_bytes');
  const version = r.u32le();
  if (version < 2 || version > 5) r.fail('bad_value');
  const guestSvn = r.u32le();
  const policy = r.u64le();
  const familyId = r.bytes(16);
  const imageId = r.bytes(16);
  const vmpl = r.u32le();
  if (vmpl > 3 && vmpl !== HOST_VMPL) r.fail('bad_value');
  if (r.u32le() !== 1) r.fail('bad_value'); // ECDSA P-384 with SHA-384
  const currentTcb = r.bytes(8);
  const platformInfo = r.u64le();
  const flags = r.u32le();
  if (flags >= 1 << 5) r.fail('bad_value');
  skipZeros(r, 4);
  const reportData = r.bytes(64);
  const measurement = r.bytes(48);
  const hostData = r.bytes(32);
  const idKeyDigest = r.bytes(48);
  const authorKeyDigest = r.bytes(48);
  const reportId = r.bytes(32);
  const reportIdMa = r.bytes(32);
  const reportedTcb = r.bytes(8);
  const cpuid = readCpuid(r, version);
  skipZeros(r, 21);
  const chipId = r.bytes(64);
  const committedTcb = r.bytes(8);
  const currentVersion = readVersion(r);
  const committedVersion = readVersion(r);
  const launchTcb = r.bytes(8);
  const mitigations =
    version >= 5 ? { launchMitVector: r.bytes(8), currentMitVector: r.bytes(8) } : {};
  skipZeros(r, SIGNED_SIZE - r.position);
  const signature = readSignature(r);
  r.end();
  return {
    version,
    guestSvn,
    policy,
    familyId,
    imageId,
    vmpl,
    currentTcb,
    platformInfo,
    authorKeyEnabled: (flags & 0x01) !== 0,
    maskChipKey: (flags & 0x02) !== 0,
    signingKey: flags >> 2,
    reportData,
    measurement,
    hostData,
    idKeyDigest,
    authorKeyDigest,
    reportId,
    reportIdMa,
    reportedTcb,
    cpuid,
    chipId,
    committedTcb,
    currentVersion,
    committedVersion,
    launchTcb,
    ...mitigations,
    signed: new Uint8Array(bytes.subarray(0, SIGNED_SIZE)),
    signature,
  };
}

function skipZeros(r: Reader, length: number): void {
  if (!isZero(r.bytes(length))) r.fail('bad_value');
}

function readCpuid(r: Reader, version: number): SnpCpuid | null {
  const cpuid = { family: r.u8(), model: r.u8(), stepping: r.u8() };
  if (version >= 3) return cpuid;
  if (cpuid.family !== 0 || cpuid.model !== 0 || cpuid.stepping !== 0) r.fail('bad_value');
  return null;
}

/** Build, minor, major in the report; in the order of importance here. */
function readVersion(r: Reader): [number, number, number] {
  const [build, minor, major] = [r.u8(), r.u8(), r.u8()];
  skipZeros(r, 1);
  return [major, minor, build];
}

/** r and s, each little-endian in 72 bytes of which 48 are used; zeros up to the end. */
function readSignature(r: Reader): Bytes {
  const signature = new Uint8Array(96);
  for (const half of [0, 48]) {
    signature.set(r.bytes(48).toReversed(), half);
    skipZeros(r, 24);
  }
  skipZeros(r, SNP_REPORT_SIZE - r.position);
  return asBytes(signature);
}

/** The parts of POLICY that must be as they are (spec/evidence.md 9.4). */
export function checkGuestPolicy(policy: bigint, allowUnknownPolicyBits: boolean): void {
  if (((policy >> 17n) & 1n) === 0n)
    throw new MalformedError('bad_value', `${NAME}: POLICY bit 17`);
  if (policy >> 26n !== 0n && !allowUnknownPolicyBits) {
    throw new MalformedError('bad_value', `${NAME}: unknown POLICY bits`);
  }
}
