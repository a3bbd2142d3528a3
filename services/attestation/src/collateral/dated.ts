/** Something that is good for a time, and of which a newer one replaces an older. */
export interface Dated {
  /** `tcbEvaluationDataNumber`; 0 of what has none. */
  readonly evaluation: number;
  /** Milliseconds since 1970. */
  readonly issued: number;
  readonly ends: number;
}

/** The newest that is good at the time; else the newest; undefined where there is none. */
export function newestAt<T extends Dated>(all: readonly T[], at: Date): T | undefined {
  const time = at.getTime();
  return all
    .toSorted(
      (a, b) => rank(b, time) - rank(a, time) || b.evaluation - a.evaluation || b.issued - a.issued,
    )
    .at(0);
}

/** Whether it is good at the time. */
export function isGoodAt({ issued, ends }: Dated, at: Date): boolean {
  const time = at.getTime();
  return issued <= time && time < ends;
}

function rank({ issued, ends }: Dated, time: number): number {
  return issued <= time && time < ends ? 1 : 0;
}
