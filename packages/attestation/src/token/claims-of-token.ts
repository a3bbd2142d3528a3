import { isJsonObject, type JsonObject } from '@cloister/bytes';
import type { SgxClaims, SnpClaims, SnpTcb, TcbStatus, TdxClaims } from '../claims.ts';
import type { TokenTee } from '../manifest/manifest.ts';
import { Shape } from '../shape.ts';

/** What tokens of every kind say. */
export interface CommonTokenClaims {
  /** `x-ms-attestation-type`. */
  readonly type: TokenTee;
  readonly simulated: boolean;
  readonly debug: boolean;
  readonly reportData: string;
  readonly policyHash?: string;
  /** The runtime data that the issuer found to have the digest in the report data. */
  readonly runtime?: JsonObject;
}

/** What a token says of an SGX enclave; the type `simulated` has the same members. */
export interface SgxTokenClaims
  extends CommonTokenClaims,
    Pick<SgxClaims, 'tee' | 'mrenclave' | 'mrsigner' | 'isvProdId' | 'isvSvn'> {
  /** Of enclaves with KSS. */
  readonly configId?: string;
  /** Of enclaves with KSS. */
  readonly configSvn?: number;
}

/** What a token says of an SEV-SNP guest. */
export interface SnpTokenClaims
  extends CommonTokenClaims,
    Pick<
      SnpClaims,
      | 'tee'
      | 'guestSvn'
      | 'vmpl'
      | 'measurement'
      | 'hostData'
      | 'idKeyDigest'
      | 'authorKeyDigest'
      | 'reportId'
    > {
  readonly migrationAllowed: boolean;
  readonly reportedTcb: SnpTcb;
}

/** What a token says of an Intel trust domain. */
export interface TdxTokenClaims
  extends CommonTokenClaims,
    Pick<
      TdxClaims,
      | 'tee'
      | 'mrtd'
      | 'rtmrs'
      | 'mrseam'
      | 'mrconfigid'
      | 'mrowner'
      | 'mrownerconfig'
      | 'tdAttributes'
      | 'xfam'
      | 'septVeDisable'
    > {
  readonly tcbStatus?: TcbStatus;
}

/** What a token says of the evidence that its issuer saw. */
export type TokenEvidenceClaims = SgxTokenClaims | SnpTokenClaims | TdxTokenClaims;

const TEES = ['sgx', 'sevsnpvm', 'tdxvm', 'simulated'] as const;
const STATUSES: readonly TcbStatus[] = [
  'UpToDate',
  'SWHardeningNeeded',
  'ConfigurationNeeded',
  'ConfigurationAndSWHardeningNeeded',
  'OutOfDate',
  'OutOfDateConfigurationNeeded',
  'TDRelaunchAdvised',
  'TDRelaunchAdvisedConfigurationNeeded',
  'Revoked',
];

/**
 * The evidence of which a verified token speaks (spec/azure-attestation.md 3.2 to 3.5), read from
 * claims that the service itself makes. A claim that it makes only sometimes, and that the policy
 * issued too, could be the policy's: such a token is refused. MalformedError where a claim lacks.
 */
export function claimsOfToken(payload: JsonObject): TokenEvidenceClaims {
  const token = new TokenReader(payload);
  const type = token.get('x-ms-attestation-type').oneOf(TEES);
  if (type === 'sevsnpvm') return readSnp(token);
  return type === 'tdxvm' ? readTdx(token) : readSgx(token, type);
}

class TokenReader {
  readonly #payload: JsonObject;

  constructor(payload: JsonObject) {
    this.#payload = payload;
  }

  /** A claim that the service makes in every token of this kind: it wins over an issued one. */
  get(name: string): Shape {
    return new Shape(this.#payload[name] ?? null, 'token', `/${name}`);
  }

  /** A claim that the service makes sometimes. */
  maybe(name: string): Shape | undefined {
    if (!Object.hasOwn(this.#payload, name)) return undefined;
    const issued = this.#payload['x-ms-policy'];
    const shape = this.get(name);
    return isJsonObject(issued) && Object.hasOwn(issued, name) ? shape.fail() : shape;
  }

  flag(name: string): boolean {
    const shape = this.get(name);
    return typeof shape.value === 'boolean' ? shape.value : shape.fail();
  }

  /** What every kind has besides its own names for debugging and report data. */
  common(debug: boolean, reportData: string, type: TokenTee): CommonTokenClaims {
    const runtime = this.maybe('x-ms-runtime')?.object();
    const policyHash = this.maybe('x-ms-policy-hash')?.string(/^[\w-]{43}$/u);
    return {
      type,
      simulated: type === 'simulated',
      debug,
      reportData,
      ...(policyHash === undefined ? {} : { policyHash }),
      ...(runtime === undefined ? {} : { runtime }),
    };
  }
}

function readSgx(token: TokenReader, type: 'sgx' | 'simulated'): SgxTokenClaims {
  const configId = token.maybe('x-ms-sgx-config-id')?.hex(64);
  const configSvn = token.maybe('x-ms-sgx-config-svn')?.integer(0, 0xffff);
  return {
    tee: 'sgx',
    ...token.common(
      token.flag('x-ms-sgx-is-debuggable'),
      token.get('x-ms-sgx-report-data').hex(64),
      type,
    ),
    mrenclave: token.get('x-ms-sgx-mrenclave').hex(32),
    mrsigner: token.get('x-ms-sgx-mrsigner').hex(32),
    isvProdId: token.get('x-ms-sgx-product-id').integer(0, 0xffff),
    isvSvn: token.get('x-ms-sgx-svn').integer(0, 0xffff),
    ...(configId === undefined ? {} : { configId }),
    ...(configSvn === undefined ? {} : { configSvn }),
  };
}

function readSnp(token: TokenReader): SnpTokenClaims {
  const claim = (name: string) => token.get(`x-ms-sevsnpvm-${name}`);
  const svn = (name: string) => claim(`${name}-svn`).integer(0, 255);
  return {
    tee: 'snp',
    ...token.common(
      token.flag('x-ms-sevsnpvm-is-debuggable'),
      claim('reportdata').hex(64),
      'sevsnpvm',
    ),
    guestSvn: claim('guestsvn').integer(0, 0xffff_ffff),
    vmpl: claim('vmpl').integer(0, 0xffff_ffff),
    measurement: claim('launchmeasurement').hex(48),
    hostData: claim('hostdata').hex(32),
    idKeyDigest: claim('idkeydigest').hex(48),
    authorKeyDigest: claim('authorkeydigest').hex(48),
    reportId: claim('reportid').hex(32),
    migrationAllowed: token.flag('x-ms-sevsnpvm-migration-allowed'),
    reportedTcb: {
      bootloader: svn('bootloader'),
      tee: svn('tee'),
      snp: svn('snpfw'),
      microcode: svn('microcode'),
    },
  };
}

function readTdx(token: TokenReader): TdxTokenClaims {
  const claim = (name: string) => token.get(`tdx_${name}`);
  const tcbStatus = token.maybe('attester_tcb_status')?.oneOf(STATUSES);
  return {
    tee: 'tdx',
    ...token.common(token.flag('tdx_td_attributes_debug'), claim('report_data').hex(64), 'tdxvm'),
    mrtd: claim('mrtd').hex(48),
    rtmrs: [
      claim('rtmr0').hex(48),
      claim('rtmr1').hex(48),
      claim('rtmr2').hex(48),
      claim('rtmr3').hex(48),
    ],
    mrseam: claim('mrseam').hex(48),
    mrconfigid: claim('mrconfigid').hex(48),
    mrowner: claim('mrowner').hex(48),
    mrownerconfig: claim('mrownerconfig').hex(48),
    tdAttributes: claim('td_attributes').hex(8),
    xfam: claim('xfam').hex(8),
    septVeDisable: token.flag('tdx_td_attributes_septve_disable'),
    ...(tcbStatus === undefined ? {} : { tcbStatus }),
  };
}
