/** Something that is good for a time, and of which a newer one replaces an older. */
export interface Dated {
  /** `tcbEvaluationDataNumber`; 0 of what has none. */
  readonly evaluationNumber: number;
  readonly issued: Date;
  readonly ends: Date;
}

/** The newest that is good at the time; else the newest; undefined where there is none. */
export function newestAt<T extends Dated>(all: readonly T[], at: Date): T | undefined {
  return all
    .toSorted(
      (a, b) =>
        Number(isGoodAt(b, at)) - Number(isGoodAt(a, at)) ||
        b.evaluationNumber - a.evaluationNumber ||
        Number(b.issued) - Number(a.issued),
    )
    .at(0);
}

/** Whether it is good at the time. */
export function isGoodAt({ issued, ends }: Dated, at: Date): boolean {
  return issued <= at && at < ends;
}
