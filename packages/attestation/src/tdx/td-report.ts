import { Reader, type Bytes } from '@cloister/bytes';

/** Which TD report body a quote carries: its type number in a v5 quote (spec/evidence.md 1.2). */
export type TdBodyType = 2 | 3 | 4;

/** A TD report body 1.0, 1.5 or 1.5 extended (spec/evidence.md 1.4). */
export interface TdReport {
  readonly teeTcbSvn: Bytes;
  readonly mrseam: Bytes;
  readonly mrsignerseam: Bytes;
  readonly seamAttributes: Bytes;
  readonly tdAttributes: Bytes;
  readonly xfam: Bytes;
  readonly mrtd: Bytes;
  readonly mrconfigid: Bytes;
  readonly mrowner: Bytes;
  readonly mrownerconfig: Bytes;
  readonly rtmrs: readonly [Bytes, Bytes, Bytes, Bytes];
  readonly reportData: Bytes;
  /** From TDX 1.5 on. */
  readonly teeTcbSvn2?: Bytes;
  /** From TDX 1.5 on. */
  readonly mrservicetd?: Bytes;
}

/** Reads a TD report body of this type, as views; MalformedError where the length does not fit. */
export function parseTdReport(bytes: Bytes, bodyType: TdBodyType): TdReport {
  const r = new Reader(bytes, 'TD report');
  const teeTcbSvn = r.view(16);
  const mrseam = r.view(48);
  const mrsignerseam = r.view(48);
  const seamAttributes = r.view(8);
  const tdAttributes = r.view(8);
  const xfam = r.view(8);
  const mrtd = r.view(48);
  const mrconfigid = r.view(48);
  const mrowner = r.view(48);
  const mrownerconfig = r.view(48);
  const rtmrs = [r.view(48), r.view(48), r.view(48), r.view(48)] as const;
  const reportData = r.view(64);
  const report = {
    teeTcbSvn,
    mrseam,
    mrsignerseam,
    seamAttributes,
    tdAttributes,
    xfam,
    mrtd,
    mrconfigid,
    mrowner,
    mrownerconfig,
    rtmrs,
    reportData,
  };
  if (bodyType === 2) {
    r.end();
    return report;
  }
  const later = { teeTcbSvn2: r.view(16), mrservicetd: r.view(48) };
  // 1.5 extended: vmid, tdId, devInfo, then the init and current service TD; signed, not judged.
  if (bodyType === 4) r.view(1 + 32 + 48 + 48 + 8 + 16 + 16 + 12 + 48 + 8);
  r.end();
  return { ...report, ...later };
}
