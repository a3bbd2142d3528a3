import { encodeHex, MalformedError } from '@cloister/bytes';
import { tdxFindings } from '../appraisal/findings.ts';
import type { IntelPlatformClaims, TdxClaims } from '../claims.ts';
import {
  verifyIntelQuote,
  type QuoteKind,
  type QuoteVerification,
  type TcbVerdict,
} from '../intel/intel-quote.ts';
import type { IntelQuoteOptions } from '../intel/quote-options.ts';
import type { Quote } from '../intel/quote.ts';
import { evaluateTcb, type TcbInputs } from '../intel/tcb-evaluation.ts';
import { adviseRelaunch } from '../intel/tcb-level.ts';
import { parseTdReport, type TdReport } from './td-report.ts';
import { checkTdxModule } from './tdx-module.ts';

const TDX: QuoteKind<TdReport, TdxClaims> = {
  tee: 'tdx',
  qeIdentityId: 'TD_QE',
  parseBody: parseTdBody,
  checkModule: checkTdxModule,
  evaluateTcb: evaluateTdxTcb,
  claimsOf,
  findingsOf: (report) => tdxFindings(bodyClaims(report)),
};

function parseTdBody({ body, bodyType }: Quote): TdReport {
  if (bodyType === 1) throw new MalformedError('bad_value', 'TDX quote: body type');
  return parseTdReport(body, bodyType);
}

/** By the module of the launch and, from TDX 1.5 on, by the one that runs now (7.1). */
function evaluateTdxTcb({ teeTcbSvn, teeTcbSvn2 }: TdReport, inputs: TcbInputs): TcbVerdict {
  const launch = evaluateTcb(inputs, teeTcbSvn);
  if (teeTcbSvn2 === undefined) return { ...launch, launch: launch.status };
  const current = evaluateTcb(inputs, teeTcbSvn2);
  return {
    ...launch,
    status: adviseRelaunch(launch.status, current.status),
    launch: launch.status,
    current: current.status,
  };
}

type BodyClaims = Omit<
  TdxClaims,
  keyof IntelPlatformClaims | 'launchTcbStatus' | 'currentTcbStatus'
>;

function bodyClaims(report: TdReport): BodyClaims {
  const { teeTcbSvn2, mrservicetd, tdAttributes, rtmrs } = report;
  const [rtmr0, rtmr1, rtmr2, rtmr3] = rtmrs;
  return {
    tee: 'tdx',
    mrtd: encodeHex(report.mrtd),
    rtmrs: [encodeHex(rtmr0), encodeHex(rtmr1), encodeHex(rtmr2), encodeHex(rtmr3)],
    mrseam: encodeHex(report.mrseam),
    mrsignerseam: encodeHex(report.mrsignerseam),
    seamAttributes: encodeHex(report.seamAttributes),
    tdAttributes: encodeHex(tdAttributes),
    xfam: encodeHex(report.xfam),
    mrconfigid: encodeHex(report.mrconfigid),
    mrowner: encodeHex(report.mrowner),
    mrownerconfig: encodeHex(report.mrownerconfig),
    teeTcbSvn: encodeHex(report.teeTcbSvn),
    debug: ((tdAttributes[0] ?? 0) & 0x01) !== 0,
    septVeDisable: ((tdAttributes[3] ?? 0) & 0x10) !== 0,
    reportData: encodeHex(report.reportData),
    ...(teeTcbSvn2 === undefined ? {} : { teeTcbSvn2: encodeHex(teeTcbSvn2) }),
    ...(mrservicetd === undefined ? {} : { mrservicetd: encodeHex(mrservicetd) }),
  };
}

function claimsOf(
  report: TdReport,
  platform: IntelPlatformClaims,
  { status, launch = status, current }: TcbVerdict,
): TdxClaims {
  return {
    ...bodyClaims(report),
    ...platform,
    launchTcbStatus: launch,
    ...(current === undefined ? {} : { currentTcbStatus: current }),
  };
}

/**
 * Verifies a TDX quote, version 4 or 5, with Intel's collateral at the given time
 * (spec/evidence.md 4). The claims are genuine where it is ok; `appraise` says whether they do.
 */
export function verifyTdxQuote(
  quote: Uint8Array,
  options: IntelQuoteOptions,
): Promise<QuoteVerification<TdxClaims>> {
  return verifyIntelQuote(quote, TDX, options);
}
