/**
 * Makes Intel evidence of any kind that verifies, and lets a test spoil exactly one thing in it
 * before it is signed: so a refusal can have one reason only. Not a test of its own.
 */
import assert from 'node:assert/strict';
import {
  concatBytes,
  decodeHex,
  encodeHex,
  encodeUtf8,
  parseJsonObject,
  sliceJsonMember,
  Writer,
  type Bytes,
  type JsonObject,
} from '@cloister/bytes';
import {
  authorityKeyIdentifierExtension,
  basicConstraintsExtension,
  createCertificate,
  createCrl,
  crlDistributionPointsExtension,
  encodeName,
  keyUsageExtension,
  parseCertificate,
  sha256,
  subjectKeyIdentifierExtension,
  type ExtensionInput,
} from '@cloister/crypto';
import type { SgxClaims, TdxClaims } from '../claims.ts';
import { SIMULATED_PLATFORM } from '../simulated/create-collateral.ts';
import { createSimulatedPlatform, pointOf } from '../simulated/create-platform.ts';
import { encodeEnclaveReport } from '../simulated/enclave-report.ts';
import { pemChain, platformRootDigest } from '../simulated/simulated-platform.ts';
import { verifySgxQuote } from '../sgx/verify-sgx-quote.ts';
import { verifyTdxQuote } from '../tdx/verify-tdx-quote.ts';
import type { IntelCollateral } from './collateral.ts';
import type { QuoteVerification } from './intel-quote.ts';
import type { IntelQuoteOptions } from './quote-options.ts';

export const AT = new Date('2026-03-01T12:00:00Z');
export const random = (length: number): Bytes => crypto.getRandomValues(new Uint8Array(length));
export const platform = await createSimulatedPlatform({ at: AT, random });
export const { keys, certificates } = platform;
export const rootDigest = await platformRootDigest(platform);
export const stranger = await crypto.subtle.generateKey(
  { name: 'ECDSA', namedCurve: 'P-256' },
  true,
  ['sign', 'verify'],
);

export type Kind = 'sgx3' | 'sgx4' | 'sgx5' | 'tdx4' | 'tdx5-10' | 'tdx5-15' | 'tdx5-15x';
const LAYOUTS = {
  sgx3: { version: 3, bodyType: 1 },
  sgx4: { version: 4, bodyType: 1 },
  sgx5: { version: 5, bodyType: 1 },
  tdx4: { version: 4, bodyType: 2 },
  'tdx5-10': { version: 5, bodyType: 2 },
  'tdx5-15': { version: 5, bodyType: 3 },
  'tdx5-15x': { version: 5, bodyType: 4 },
} as const;
const BODY_SIZES = { 1: 384, 2: 584, 3: 648, 4: 885 } as const;

/** What a test may change before the thing is signed. */
export interface Edits {
  readonly header?: (header: Bytes) => void;
  readonly body?: (body: Bytes) => void;
  readonly qeReport?: (report: Bytes) => void;
  readonly qeAuthData?: Bytes;
  readonly qeSigner?: CryptoKey;
  /** x‖y in the place of the attestation key's; the QE report names it. */
  readonly attestationPoint?: Bytes;
  readonly certificationData?: { readonly type: number; readonly data: Bytes };
  readonly tcbInfo?: (document: JsonObject) => void;
  readonly qeIdentity?: (document: JsonObject) => void;
  readonly documentSigner?: CryptoKey;
  /** Last: replaces collateral. */
  readonly collateral?: Partial<IntelCollateral>;
}

export interface Forged {
  readonly quote: Bytes;
  readonly options: IntelQuoteOptions;
}

/** Evidence of this kind that verifies, but for what the edits spoil. */
export async function forge(kind: Kind, edits: Edits = {}): Promise<Forged> {
  const tdx = kind.startsWith('tdx');
  const tcbInfo = parseJsonObject(sliceJsonMember(platform.collateral.tcbInfo, 'tcbInfo'));
  const qeIdentity = parseJsonObject(
    sliceJsonMember(platform.collateral.qeIdentity, 'enclaveIdentity'),
  );
  if (tdx) {
    tcbInfo['id'] = 'TDX';
    tcbInfo['tdxModule'] = moduleOf();
    tcbInfo['tdxModuleIdentities'] = [
      {
        id: 'TDX_01',
        ...moduleOf(),
        tcbLevels: [isvLevel(5, 'UpToDate'), isvLevel(3, 'OutOfDate')],
      },
    ];
    for (const level of levelsOf(tcbInfo)) tcbOf(level)['tdxtcbcomponents'] = components(3);
    qeIdentity['id'] = 'TD_QE';
  }
  edits.tcbInfo?.(tcbInfo);
  edits.qeIdentity?.(qeIdentity);
  const signer = edits.documentSigner ?? keys.tcbSigning.privateKey;
  return {
    quote: await forgeQuote(kind, edits),
    options: {
      at: AT,
      anchors: [{ spkiSha256: rootDigest }],
      collateral: {
        ...platform.collateral,
        tcbInfo: await signDocument('tcbInfo', tcbInfo, signer),
        qeIdentity: await signDocument('enclaveIdentity', qeIdentity, signer),
        ...edits.collateral,
      },
    },
  };
}

/** Verifies what was forged as what it is. */
export function verify(
  kind: Kind,
  { quote, options }: Forged,
  more: Partial<IntelQuoteOptions> = {},
): Promise<QuoteVerification<unknown>> {
  const all = { ...options, ...more };
  return kind.startsWith('sgx') ? verifySgxQuote(quote, all) : verifyTdxQuote(quote, all);
}

/** `ok`, or the code of the refusal. */
export async function judge(
  kind: Kind,
  edits: Edits = {},
  more: Partial<IntelQuoteOptions> = {},
): Promise<string> {
  const result = await verify(kind, await forge(kind, edits), more);
  return result.ok ? 'ok' : result.code;
}

/** What evidence with these edits, which must verify, claims. */
export async function sgxClaims(edits: Edits = {}): Promise<SgxClaims> {
  const { quote, options } = await forge('sgx3', edits);
  const result = await verifySgxQuote(quote, options);
  assert.ok(result.ok, JSON.stringify(result));
  return result.claims;
}

/** As `sgxClaims`, for TDs. */
export async function tdxClaims(kind: Kind, edits: Edits = {}): Promise<TdxClaims> {
  const { quote, options } = await forge(kind, edits);
  const result = await verifyTdxQuote(quote, options);
  assert.ok(result.ok, JSON.stringify(result));
  return result.claims;
}

async function forgeQuote(kind: Kind, edits: Edits): Promise<Bytes> {
  const { version, bodyType } = LAYOUTS[kind];
  const header = new Writer()
    .u16le(version)
    .u16le(2)
    .u32le(bodyType === 1 ? 0 : 0x81)
    .u32le(0)
    .bytes(decodeHex('939a7233f79c4ca9940a0db3957f0607'))
    .bytes(new Uint8Array(20))
    .finish();
  edits.header?.(header);
  const body = bodyType === 1 ? enclaveReport() : tdReport(BODY_SIZES[bodyType]);
  edits.body?.(body);
  const descriptor =
    version === 5 ? new Writer().u16le(bodyType).u32le(body.length).finish() : new Uint8Array(0);
  const signed = concatBytes(header, descriptor, body);
  const point = edits.attestationPoint ?? (await pointOf(keys.attestation));
  const authData = edits.qeAuthData ?? platform.quotingEnclave.authData;
  const report = enclaveReport(SIMULATED_PLATFORM.qe);
  report.set(await sha256(concatBytes(point, authData)), 320);
  report.fill(0, 352);
  edits.qeReport?.(report);
  const { type, data } = edits.certificationData ?? { type: 5, data: encodeUtf8(pckChain()) };
  const rest = new Writer()
    .bytes(report)
    .bytes(await sign(edits.qeSigner ?? keys.pck.privateKey, report))
    .u16le(authData.length)
    .bytes(authData)
    .u16le(type)
    .u32le(data.length)
    .bytes(data)
    .finish();
  const signature = await sign(keys.attestation.privateKey, signed);
  const wrapper = version === 3 ? [] : [new Writer().u16le(6).u32le(rest.length).finish()];
  const auth = concatBytes(signature, point, ...wrapper, rest);
  return concatBytes(signed, new Writer().u32le(auth.length).finish(), auth);
}

export function pckChain(): string {
  return pemChain(certificates.pck, certificates.platformCa, certificates.root);
}

function enclaveReport(facts = { mrsigner: 'ab'.repeat(32), isvProdId: 7, isvSvn: 2 }): Bytes {
  return encodeEnclaveReport({
    mrenclave: 'cd'.repeat(32),
    ...facts,
    reportData: new Uint8Array(64).fill(0x5a),
  });
}

/** A TD of module 1.5 on this platform; SEPT_VE_DISABLE set, XFAM usual. */
function tdReport(size: number): Bytes {
  const body = new Uint8Array(size);
  body.set([5, 1, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3]);
  body[123] = 0x10;
  body.set(decodeHex('e718060000000000'), 128);
  body.fill(0xaa, 136, 184);
  body.fill(0x5a, 520, 584);
  if (size > 584) body.set(body.subarray(0, 16), 584);
  return body;
}

export function components(svn: number): JsonObject[] {
  return Array.from({ length: 16 }, () => ({ svn }));
}

export function moduleOf(mrsigner = '00'.repeat(48)): JsonObject {
  return { mrsigner, attributes: '00'.repeat(8), attributesMask: 'FF'.repeat(8) };
}

export function isvLevel(isvsvn: number, tcbStatus: string): JsonObject {
  return { tcb: { isvsvn }, tcbDate: '2026-01-01T00:00:00Z', tcbStatus };
}

/** The levels of a document, to be changed in place. */
export function levelsOf(document: JsonObject): JsonObject[] {
  return document['tcbLevels'] as JsonObject[];
}

export function tcbOf(level: JsonObject | undefined): JsonObject {
  return level?.['tcb'] as JsonObject;
}

export async function sign(key: CryptoKey, data: Bytes): Promise<Bytes> {
  const algorithm = { name: 'ECDSA', hash: 'SHA-256' };
  return new Uint8Array(await crypto.subtle.sign(algorithm, key, data));
}

export async function signDocument(
  member: string,
  document: JsonObject | string,
  key: CryptoKey,
): Promise<string> {
  const text = typeof document === 'string' ? document : JSON.stringify(document);
  return `{"${member}":${text},"signature":"${encodeHex(await sign(key, encodeUtf8(text)))}"}`;
}

/** What a test may change in a CRL before it is signed. */
export interface CrlEdits {
  readonly by?: 'root' | 'platformCa';
  readonly name?: 'root' | 'platformCa';
  readonly signer?: CryptoKey;
  readonly serials?: readonly string[];
  readonly thisUpdate?: Date;
  readonly nextUpdate?: Date;
  readonly extensions?: readonly ExtensionInput[];
}

/** A CRL of the PCK CA unless told. */
export function forgeCrl(edits: CrlEdits = {}): Promise<Bytes> {
  const { by = 'platformCa', name = by, serials = [] } = edits;
  return createCrl({
    issuer: parseCertificate(certificates[name]).subject,
    thisUpdate: edits.thisUpdate ?? new Date('2026-02-20T00:00:00Z'),
    nextUpdate: edits.nextUpdate ?? new Date('2026-03-20T00:00:00Z'),
    revoked: serials.map((serial) => ({ serial, revokedAt: new Date('2026-02-01T00:00:00Z') })),
    crlNumber: '01',
    authorityKeyIdentifier: new Uint8Array(20),
    signer: edits.signer ?? keys[by].privateKey,
    extensions: edits.extensions ?? [],
  });
}

/** What a test may change in a certificate before it is signed. */
export interface CertificateEdits {
  readonly serial?: string;
  readonly commonName?: string;
  readonly issuer?: Bytes;
  readonly publicKey?: Bytes;
  readonly signer?: CryptoKey;
  readonly notBefore?: Date;
  readonly notAfter?: Date;
  readonly constraints?: { readonly ca: boolean; readonly pathLength?: number } | undefined;
  readonly usages?: Parameters<typeof keyUsageExtension>;
  /** OIDs to leave out. */
  readonly without?: readonly string[];
  readonly extensions?: readonly ExtensionInput[];
}

/** The platform's certificate of this role, made anew with the edits. */
export async function forgeCertificate(
  role: 'root' | 'platformCa' | 'pck' | 'tcbSigning',
  edits: CertificateEdits = {},
): Promise<Bytes> {
  const old = parseCertificate(certificates[role]);
  const own = { root: 'root', platformCa: 'root', pck: 'platformCa', tcbSigning: 'root' } as const;
  const isCa = role === 'root' || role === 'platformCa';
  const sgx = old.extensions.get('1.2.840.113741.1.13.1');
  const extensions = [
    authorityKeyIdentifierExtension(new Uint8Array(20)),
    crlDistributionPointsExtension('https://simulated.invalid/crl'),
    subjectKeyIdentifierExtension(new Uint8Array(20)),
    keyUsageExtension(...(edits.usages ?? (isCa ? CA_USAGES : LEAF_USAGES))),
    basicConstraintsExtension(edits.constraints ?? { ca: isCa }),
    ...(sgx === undefined ? [] : [{ oid: '1.2.840.113741.1.13.1', value: sgx.value }]),
    ...(edits.extensions ?? []),
  ];
  const { commonName } = edits;
  return createCertificate({
    subject: commonName === undefined ? old.subject : encodeName({ commonName }),
    issuer: edits.issuer ?? old.issuer,
    serial: edits.serial ?? old.serial,
    notBefore: edits.notBefore ?? old.notBefore,
    notAfter: edits.notAfter ?? old.notAfter,
    publicKey: edits.publicKey ?? old.spki,
    signer: edits.signer ?? keys[own[role]].privateKey,
    extensions: extensions.filter(({ oid }) => edits.without?.includes(oid) !== true),
  });
}

const CA_USAGES: Parameters<typeof keyUsageExtension> = ['keyCertSign', 'cRLSign'];
const LEAF_USAGES: Parameters<typeof keyUsageExtension> = ['digitalSignature', 'nonRepudiation'];

/** Edits that put these certificates into the quote, in this order. */
export function chainOf(...chain: readonly Bytes[]): Edits {
  return { certificationData: { type: 5, data: encodeUtf8(pemChain(...chain)) } };
}

/** The key of a pair as SubjectPublicKeyInfo. */
export async function spkiOf(pair: CryptoKeyPair): Promise<Bytes> {
  return new Uint8Array(await crypto.subtle.exportKey('spki', pair.publicKey));
}
