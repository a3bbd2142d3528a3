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

/** Reads a TD report body of this type; MalformedError where the length does not fit. */
export function parseTdReport(bytes: Uint8Array, bodyType: TdBodyType): TdReport {
  const r = new Reader(bytes, 'TD report');
  const teeTcbSvn = r.bytes(16);
  const mrseam = r.bytes(48);
  const mrsignerseam = r.bytes(48);
  const seamAttributes = r.bytes(8);
  const tdAttributes = r.bytes(8);
  const xfam = r.bytes(8);
  const mrtd = r.bytes(48);
  const mrconfigid = r.bytes(48);
  const mrowner = r.bytes(48);
  const mrownerconfig = r.bytes(48);
  const rtmrs = [r.bytes(48), r.bytes(48), r.bytes(48), r.bytes(48)] as const;
  const reportData = r.bytes(64);
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
  const later = { teeTcbSvn2: r.bytes(16), mrservicetd: r.bytes(48) };
  // 1.5 extended: vmid, tdId, devInfo, then the init and current service TD; signed, not judged.
  if (bodyType === 4) r.bytes(1 + 32 + 48 + 48 + 8 + 16 + 16 + 12 + 48 + 8);
  r.end();
  return { ...report, ...later };
}
