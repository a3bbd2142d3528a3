import { encodeHex, encodeUtf8, type Bytes, type JsonObject } from '@cloister/bytes';
import { createCrl, parseCertificate } from '@cloister/crypto';
import type { TcbStatus } from '../claims.ts';
import type { IntelCollateral } from '../intel/collateral.ts';
import { SIMULATED_CPU_SVN } from './enclave-report.ts';
import {
  pemChain,
  type SimulatedCertificates,
  type SimulatedKeys,
  type SimulatedPlatform,
} from './simulated-platform.ts';

/** Of what a platform's collateral speaks, in a simulated machine that has only one of each. */
export const SIMULATED_PLATFORM: {
  readonly fmspc: Bytes;
  readonly pceId: Bytes;
  readonly pceSvn: number;
  readonly qe: { readonly mrsigner: string; readonly isvProdId: number; readonly isvSvn: number };
} = {
  fmspc: Uint8Array.of(0xc1, 0x01, 0x57, 0xe2, 0x00, 0x00),
  pceId: Uint8Array.of(0, 0),
  pceSvn: 11,
  qe: {
    // Text, not the hash of a key: nobody signed the simulated Quoting Enclave.
    mrsigner: '73696d756c617465642071756f74696e6720656e636c61766500000000000000',
    isvProdId: 1,
    isvSvn: 8,
  },
};

/** What simulated collateral says; all of it has defaults that verify. */
export interface CollateralTerms {
  /** From when it holds. */
  readonly at: Date;
  /** One year unless told. */
  readonly days?: number;
  /** The status of this platform: UpToDate unless told. */
  readonly tcbStatus?: Exclude<
    TcbStatus,
    'TDRelaunchAdvised' | 'TDRelaunchAdvisedConfigurationNeeded'
  >;
  readonly advisoryIds?: readonly string[];
  /** 20 unless told. */
  readonly tcbEvaluationDataNumber?: number;
  /** Certificates to revoke; none unless told. */
  readonly revoke?: readonly ('pck' | 'platformCa' | 'tcbSigning')[];
}

const DAY = 86_400_000;
/** Clocks of one machine's processes agree; those of its browsers may be behind. */
const BACKDATED = 3_600_000;

/** A platform with new collateral over the same certificates: other dates, other statements. */
export async function renewCollateral(
  platform: SimulatedPlatform,
  terms: CollateralTerms,
): Promise<SimulatedPlatform> {
  const collateral = await createCollateral(platform.keys, platform.certificates, terms);
  return { ...platform, collateral };
}

/** TCB info (version 3), QE identity (version 2) and both CRLs, each signed by who signs them. */
export async function createCollateral(
  keys: SimulatedKeys,
  certificates: SimulatedCertificates,
  terms: CollateralTerms,
): Promise<IntelCollateral> {
  const from = new Date(Math.floor((terms.at.getTime() - BACKDATED) / 1000) * 1000);
  const until = new Date(from.getTime() + BACKDATED + (terms.days ?? 365) * DAY);
  const dates = { issueDate: instant(from), nextUpdate: instant(until) };
  const tcbSigningChain = pemChain(certificates.tcbSigning, certificates.root);
  const { revoke = [] } = terms;
  const crlOf = async (
    issuer: 'root' | 'platformCa',
    listed: readonly ('pck' | 'platformCa' | 'tcbSigning')[],
  ): Promise<Bytes> => {
    const { subject, subjectKeyIdentifier } = parseCertificate(certificates[issuer]);
    return createCrl({
      issuer: subject,
      thisUpdate: from,
      nextUpdate: until,
      revoked: revoke
        .filter((name) => listed.includes(name))
        .map((name) => ({ serial: parseCertificate(certificates[name]).serial, revokedAt: from })),
      crlNumber: Uint8Array.of(1),
      authorityKeyIdentifier: subjectKeyIdentifier ?? new Uint8Array(20),
      signer: keys[issuer].privateKey,
    });
  };
  const sign = (member: string, value: JsonObject) =>
    signDocument(member, value, keys.tcbSigning.privateKey);
  return {
    tcbInfo: await sign('tcbInfo', tcbInfoOf(terms, dates)),
    qeIdentity: await sign('enclaveIdentity', qeIdentityOf(terms, dates)),
    tcbInfoChain: tcbSigningChain,
    qeIdentityChain: tcbSigningChain,
    pckCrl: await crlOf('platformCa', ['pck']),
    rootCaCrl: await crlOf('root', ['platformCa', 'tcbSigning']),
  };
}

interface Dates {
  readonly issueDate: string;
  readonly nextUpdate: string;
}

const evaluationNumber = (terms: CollateralTerms): number => terms.tcbEvaluationDataNumber ?? 20;

function tcbInfoOf(terms: CollateralTerms, dates: Dates): JsonObject {
  const level = (tcbStatus: string, svns: readonly number[], advisoryIDs: readonly string[]) => ({
    tcb: {
      sgxtcbcomponents: svns.map((svn) => ({ svn })),
      pcesvn: SIMULATED_PLATFORM.pceSvn,
    },
    tcbDate: dates.issueDate,
    tcbStatus,
    ...(advisoryIDs.length === 0 ? {} : { advisoryIDs: [...advisoryIDs] }),
  });
  const { tcbStatus = 'UpToDate', advisoryIds = [] } = terms;
  return {
    id: 'SGX',
    version: 3,
    ...dates,
    fmspc: encodeHex(SIMULATED_PLATFORM.fmspc),
    pceId: encodeHex(SIMULATED_PLATFORM.pceId),
    tcbType: 0,
    tcbEvaluationDataNumber: evaluationNumber(terms),
    tcbLevels: [
      level(tcbStatus, SIMULATED_CPU_SVN, advisoryIds),
      level(
        'OutOfDate',
        SIMULATED_CPU_SVN.map((svn) => Math.max(0, svn - 1)),
        [],
      ),
    ],
  };
}

function qeIdentityOf(terms: CollateralTerms, dates: Dates): JsonObject {
  const { mrsigner, isvProdId, isvSvn } = SIMULATED_PLATFORM.qe;
  return {
    id: 'QE',
    version: 2,
    ...dates,
    tcbEvaluationDataNumber: evaluationNumber(terms),
    miscselect: '00000000',
    miscselectMask: 'FFFFFFFF',
    // As Intel's: DEBUG must be off, MODE64BIT and XFRM are free.
    attributes: '01000000000000000000000000000000',
    attributesMask: 'FBFFFFFFFFFFFFFF0000000000000000',
    mrsigner: mrsigner.toUpperCase(),
    isvprodid: isvProdId,
    tcbLevels: [{ tcb: { isvsvn: isvSvn }, tcbDate: dates.issueDate, tcbStatus: 'UpToDate' }],
  };
}

/** `{"<member>":<text>,"signature":"<hex r‖s>"}`, the signature over exactly that text (3.1). */
async function signDocument(member: string, value: JsonObject, key: CryptoKey): Promise<string> {
  const text = JSON.stringify(value);
  const algorithm = { name: 'ECDSA', hash: 'SHA-256' };
  const signature = await crypto.subtle.sign(algorithm, key, encodeUtf8(text));
  return `{"${member}":${text},"signature":"${encodeHex(new Uint8Array(signature))}"}`;
}

/** An instant as Intel writes it: whole seconds, UTC. */
function instant(date: Date): string {
  return `${date.toISOString().slice(0, 19)}Z`;
}
