/**
 * Makes Azure HCL reports that verify under roots of our own, and lets a test spoil exactly one
 * thing before it is signed. Not a test of its own.
 */
import { concatBytes, encodeUtf8, Writer, type Bytes } from '@cloister/bytes';
import { jwkFromSpki, sha256, type Jwk } from '@cloister/crypto';
import { forge } from '../intel/forge.test.ts';
import { AT, forgeReport, type SnpEdits } from '../snp/forge.test.ts';
import type { TpmQuote } from './tpm-quote.ts';
import { type HclReportOptions } from './verify-hcl-report.ts';

const PKCS1 = {
  name: 'RSASSA-PKCS1-v1_5',
  hash: 'SHA-256',
  modulusLength: 2048,
  publicExponent: Uint8Array.of(1, 0, 1),
};
export const makeAk = (modulusLength = 2048): Promise<CryptoKeyPair> =>
  crypto.subtle.generateKey({ ...PKCS1, modulusLength }, true, ['sign', 'verify']);
export const jwkOf = async ({ publicKey }: CryptoKeyPair): Promise<Jwk> =>
  jwkFromSpki(new Uint8Array(await crypto.subtle.exportKey('spki', publicKey)));
export const [ak, otherAk] = await Promise.all([makeAk(), makeAk()]);
export const akJwk = await jwkOf(ak);
export const NONCE = encodeUtf8('a nonce of the caller');
export const PCRS = Array.from({ length: 24 }, (_, i) => new Uint8Array(32).fill(i));

/** What a test may change before the thing is signed. */
export interface HclEdits {
  readonly claims?: string;
  /** In the place of the digest of the claims, in the hardware report. */
  readonly reportData?: Bytes;
  readonly tee?: 'snp' | 'tdx';
  /** Of the SNP report, but for its report data. */
  readonly snp?: SnpEdits;
  /** Last: the finished blob. */
  readonly blob?: (blob: Bytes) => void;
  readonly attest?: (attest: Bytes) => Bytes;
  readonly quoteSigner?: CryptoKey;
  /** Shown beside the quote, which is over others. */
  readonly pcrs?: readonly Bytes[];
  /** What the quote is over; PCRs 0, 4 and 11 of `PCRS` unless told. */
  readonly quoted?: { readonly pcrs: readonly Bytes[]; readonly selected: readonly number[] };
  /** What the quote carries; NONCE unless told. */
  readonly qualifyingData?: Bytes;
  readonly options?: Partial<HclReportOptions>;
}

export const CLAIMS = JSON.stringify({
  keys: [
    { kid: 'HCLAkPub', key_ops: ['sign'], ...akJwk },
    { kid: 'HCLEkPub', key_ops: ['encrypt'], ...akJwk },
  ],
  'vm-configuration': { 'secure-boot': true, 'tpm-enabled': true, vmUniqueId: 'X' },
  'user-data': 'AB'.repeat(64),
});

/** A blob that verifies with these options, but for what the edits spoil. */
export async function forgeHcl(
  edits: HclEdits = {},
): Promise<{ blob: Bytes; options: HclReportOptions }> {
  const claims = encodeUtf8(edits.claims ?? CLAIMS);
  const reportData = edits.reportData ?? concatBytes(await sha256(claims), new Uint8Array(32));
  const { tee = 'snp' } = edits;
  const area = new Uint8Array(1184);
  let hardware: HclReportOptions['hardware'];
  if (tee === 'snp') {
    const { report, options } = await forgeReport({
      ...edits.snp,
      report: (r) => {
        r.set(reportData, 0x50);
        edits.snp?.report?.(r);
      },
    });
    const { at: _, cache: __, ...rest } = options;
    area.set(report);
    hardware = { tee: 'snp', ...rest };
  } else {
    const body = (td: Bytes) => td.set(reportData, td.length - 64);
    const { quote, options } = await forge('tdx4', { body });
    area.set(reportData, 128);
    hardware = { tee: 'tdx', quote, collateral: options.collateral, anchors: options.anchors };
  }
  const blob = blobOf(tee, area, claims);
  edits.blob?.(blob);
  return {
    blob,
    options: {
      hardware,
      at: AT,
      nonce: NONCE,
      tpmQuote: await forgeTpmQuote(edits),
      ...edits.options,
    },
  };
}

function blobOf(tee: 'snp' | 'tdx', area: Bytes, claims: Bytes): Bytes {
  const payload = 1216 + 20 + claims.length;
  const writer = new Writer().bytes(encodeUtf8('HCLA')).u32le(2).u32le(payload).u32le(2);
  writer.u32le(0).bytes(new Uint8Array(12)).bytes(area);
  writer.u32le(20 + claims.length).u32le(1);
  writer
    .u32le(tee === 'snp' ? 2 : 4)
    .u32le(1)
    .u32le(claims.length)
    .bytes(claims);
  return writer.bytes(new Uint8Array(100)).finish();
}

export async function forgeTpmQuote(edits: HclEdits): Promise<TpmQuote> {
  const { quoted = { pcrs: PCRS, selected: [0, 4, 11] }, qualifyingData = NONCE } = edits;
  const { pcrs, selected } = quoted;
  const digest = await sha256(concatBytes(...selected.map((i) => pcrs[i] ?? new Uint8Array())));
  const bitmap = new Uint8Array(3);
  for (const i of selected) bitmap[i >> 3] = (bitmap[i >> 3] ?? 0) | (1 << (i & 7));
  const writer = new Writer()
    .u32be(0xff544347)
    .u16be(0x8018)
    .u16be(4)
    .bytes(Uint8Array.of(0, 11, 1, 2));
  writer.u16be(qualifyingData.length).bytes(qualifyingData).bytes(new Uint8Array(25));
  writer.u32be(1).u16be(0x000b).u8(3).bytes(bitmap);
  const plain = writer.u16be(32).bytes(digest).finish();
  const message = edits.attest?.(plain) ?? plain;
  const key = edits.quoteSigner ?? ak.privateKey;
  const signature = new Uint8Array(await crypto.subtle.sign(PKCS1.name, key, message));
  return { message, signature, pcrs: edits.pcrs ?? pcrs };
}
