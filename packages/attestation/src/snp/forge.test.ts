/**
 * Makes AMD evidence of any kind that verifies under a root of our own, and lets a test spoil
 * exactly one thing in it before it is signed. Not a test of its own.
 */
import { asBytes, decodeHex, encodeDer, encodeDerInteger, type Bytes } from '@cloister/bytes';
import {
  basicConstraintsExtension,
  createCertificate,
  createCrl,
  encodeName,
  keyUsageExtension,
  type CertificateInput,
  type ExtensionInput,
} from '@cloister/crypto';
import type { SnpCpuid } from './report.ts';
import type { SnpProduct } from './tcb.ts';
import type { SnpReportOptions } from './verify-snp-report.ts';

export const AT = new Date('2026-03-01T12:00:00Z');
const DAY = 86_400_000;
export const later = (days: number): Date => new Date(AT.getTime() + days * DAY);

const RSA = {
  name: 'RSA-PSS',
  hash: 'SHA-384',
  modulusLength: 2048,
  publicExponent: Uint8Array.of(1, 0, 1),
};
const P384 = { name: 'ECDSA', namedCurve: 'P-384' };
const makeRsa = () => crypto.subtle.generateKey(RSA, true, ['sign', 'verify']);
const makeEc = () => crypto.subtle.generateKey(P384, true, ['sign', 'verify']);
export const [arkKey, askKey, strangerCa, vekKey, strangerVek] = await Promise.all([
  makeRsa(),
  makeRsa(),
  makeRsa(),
  makeEc(),
  makeEc(),
]);

export async function spkiOf({ publicKey }: CryptoKeyPair): Promise<Bytes> {
  return asBytes(new Uint8Array(await crypto.subtle.exportKey('spki', publicKey)));
}

/** The anchor of all that is forged here. */
export const anchors = [{ spki: await spkiOf(arkKey) }];

export const nameOf = (commonName: string): Bytes =>
  encodeName({ commonName, organizationName: 'Advanced Micro Devices', countryName: 'US' });

/** What a test may change before the thing is signed. */
export interface SnpEdits {
  readonly product?: SnpProduct;
  readonly kind?: 'vcek' | 'vlek';
  readonly version?: 2 | 3 | 4 | 5;
  readonly cpuid?: SnpCpuid;
  /** Before it is signed. */
  readonly report?: (report: Bytes) => void;
  /** After it is signed. */
  readonly afterwards?: (report: Bytes) => void;
  readonly reportSigner?: CryptoKey;
  readonly vek?: Partial<CertificateInput>;
  /** Extensions of the VEK by the arc after AMD's prefix; undefined removes one. */
  readonly extensions?: Readonly<Record<string, Bytes | undefined>>;
  /** Extensions of the VEK besides AMD's. */
  readonly moreExtensions?: readonly ExtensionInput[];
  readonly ask?: Partial<CertificateInput>;
  readonly ark?: Partial<CertificateInput>;
  /** Last: replaces options. */
  readonly options?: Partial<SnpReportOptions>;
}

export interface ForgedReport {
  readonly report: Bytes;
  readonly options: SnpReportOptions;
}

export const HW_ID = Uint8Array.from({ length: 64 }, (_, i) => i + 1);
export const CPUIDS = {
  Milan: { family: 0x19, model: 0x01, stepping: 1 },
  Genoa: { family: 0x19, model: 0x11, stepping: 1 },
  Turin: { family: 0x1a, model: 0x02, stepping: 1 },
} as const;
/** Bootloader 4, TEE 1, SNP 24, microcode 220; Turin with FMC 2. */
export const TCBS: Readonly<Record<SnpProduct, Bytes>> = {
  Milan: decodeHex('04010000000018dc'),
  Genoa: decodeHex('04010000000018dc'),
  Turin: decodeHex('02040118000000dc'),
};

const VEK_PREFIX = '1.3.6.1.4.1.3704.1.';
export const derInteger = (value: number): Bytes => encodeDerInteger(Uint8Array.of(value));
export const derText = (text: string): Bytes => encodeDer(0x16, new TextEncoder().encode(text));

/** Evidence that verifies, but for what the edits spoil. */
export async function forgeReport(edits: SnpEdits = {}): Promise<ForgedReport> {
  const { product = 'Milan', kind = 'vcek' } = edits;
  return {
    report: await signReport(edits),
    options: {
      at: AT,
      anchors,
      vek: await forgeVek(edits),
      ask: await forgeAsk(product, kind, edits.ask),
      ark: await forgeArk(product, edits.ark),
      ...edits.options,
    },
  };
}

async function signReport(edits: SnpEdits): Promise<Bytes> {
  const { product = 'Milan', kind = 'vcek', version = 3, cpuid = CPUIDS[product] } = edits;
  const report = new Uint8Array(1184);
  const view = new DataView(report.buffer);
  view.setUint32(0x00, version, true);
  view.setUint32(0x04, 7, true);
  view.setBigUint64(0x08, 0x3_0000n, true);
  view.setUint32(0x34, 1, true);
  view.setBigUint64(0x40, 0x25n, true);
  view.setUint32(0x48, kind === 'vcek' ? 0 : 1 << 2, true);
  report.fill(0x5a, 0x50, 0x90);
  report.fill(0xaa, 0x90, 0xc0);
  report.fill(0xff, 0x160, 0x180);
  for (const at of [0x38, 0x180, 0x1e0, 0x1f0]) report.set(TCBS[product], at);
  if (version >= 3) report.set([cpuid.family, cpuid.model, cpuid.stepping], 0x188);
  if (kind === 'vcek') report.set(product === 'Turin' ? HW_ID.subarray(0, 8) : HW_ID, 0x1a0);
  for (const at of [0x1e8, 0x1ec]) report.set([29, 55, 1], at);
  if (version >= 5) report.set([0x3f], 0x1f8);
  if (version >= 5) report.set([0x7f], 0x200);
  edits.report?.(report);
  const algorithm = { name: 'ECDSA', hash: 'SHA-384' };
  const signer = edits.reportSigner ?? vekKey.privateKey;
  const signature = new Uint8Array(
    await crypto.subtle.sign(algorithm, signer, report.subarray(0, 0x2a0)),
  );
  report.set(signature.slice(0, 48).toReversed(), 0x2a0);
  report.set(signature.slice(48).toReversed(), 0x2a0 + 72);
  edits.afterwards?.(report);
  return report;
}

async function forgeVek(edits: SnpEdits): Promise<Bytes> {
  const { product = 'Milan', kind = 'vcek' } = edits;
  const turin = product === 'Turin';
  const defaults: Record<string, Bytes | undefined> = {
    '1': derInteger(turin ? 1 : 0),
    '2': derText(kind === 'vcek' && !turin ? `${product}-B0` : product),
    '3.1': derInteger(4),
    '3.2': derInteger(1),
    '3.3': derInteger(24),
    '3.4': turin ? undefined : derInteger(0),
    '3.5': derInteger(0),
    '3.6': derInteger(0),
    '3.7': derInteger(0),
    '3.8': derInteger(220),
    '3.9': turin ? derInteger(2) : undefined,
    '4': kind === 'vcek' ? (turin ? HW_ID.slice(0, 8) : HW_ID) : undefined,
    '5': kind === 'vlek' ? derText('CN=cc-us-east-2.amazonaws.com') : undefined,
  };
  const extensions = Object.entries({ ...defaults, ...edits.extensions }).flatMap(
    ([arc, value]): ExtensionInput[] =>
      value === undefined ? [] : [{ oid: `${VEK_PREFIX}${arc}`, value }],
  );
  return createCertificate({
    subject: nameOf(kind === 'vcek' ? 'SEV-VCEK' : 'SEV-VLEK'),
    issuer: nameOf(askName(product, kind)),
    serial: '00',
    notBefore: later(-100),
    notAfter: later(200),
    publicKey: await spkiOf(vekKey),
    signer: askKey.privateKey,
    extensions: [...extensions, ...(edits.moreExtensions ?? [])],
    ...edits.vek,
  });
}

const askName = (product: SnpProduct, kind: 'vcek' | 'vlek') =>
  kind === 'vcek' ? `SEV-${product}` : `SEV-VLEK-${product}`;

export async function forgeAsk(
  product: SnpProduct,
  kind: 'vcek' | 'vlek',
  edits: Partial<CertificateInput> = {},
): Promise<Bytes> {
  return createCertificate({
    subject: nameOf(askName(product, kind)),
    issuer: nameOf(`ARK-${product}`),
    serial: '010001',
    notBefore: later(-1000),
    notAfter: later(1000),
    publicKey: await spkiOf(askKey),
    signer: arkKey.privateKey,
    extensions: [
      basicConstraintsExtension({ ca: true, pathLength: 0 }),
      keyUsageExtension('keyCertSign'),
    ],
    ...edits,
  });
}

export async function forgeArk(
  product: SnpProduct,
  edits: Partial<CertificateInput> = {},
): Promise<Bytes> {
  return createCertificate({
    subject: nameOf(`ARK-${product}`),
    issuer: nameOf(`ARK-${product}`),
    serial: '010000',
    notBefore: later(-1000),
    notAfter: later(1000),
    publicKey: await spkiOf(arkKey),
    signer: arkKey.privateKey,
    extensions: [
      basicConstraintsExtension({ ca: true }),
      keyUsageExtension('keyCertSign', 'cRLSign'),
    ],
    ...edits,
  });
}

/** The ARK's CRL. */
export function forgeAmdCrl(
  edits: {
    readonly serials?: readonly string[];
    readonly issuer?: string;
    readonly signer?: CryptoKey;
    readonly thisUpdate?: Date;
    readonly nextUpdate?: Date;
  } = {},
): Promise<Bytes> {
  return createCrl({
    issuer: nameOf(edits.issuer ?? 'ARK-Milan'),
    thisUpdate: edits.thisUpdate ?? later(-10),
    nextUpdate: edits.nextUpdate ?? later(10),
    revoked: (edits.serials ?? []).map((serial) => ({ serial, revokedAt: later(-20) })),
    crlNumber: '04',
    authorityKeyIdentifier: new Uint8Array(20),
    signer: edits.signer ?? arkKey.privateKey,
  });
}
