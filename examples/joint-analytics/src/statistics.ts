/** What one bank lends to one customer: a row that the other bank must never see. */
export interface Row {
  readonly customer: string;
  readonly exposure: number;
}

/** What both banks may know: about all customers that they have in common, never about one. */
export interface JointStatistic {
  readonly customers: number;
  readonly mean: readonly [number, number];
  /** Pearson's correlation of the two exposures; null where one does not vary. */
  readonly correlation: number | null;
}

/** Fewer customers than this could be told apart. */
export const SMALLEST_GROUP = 5;

/** The statistic over the customers of both banks; undefined where they are too few to be shown. */
export function joinExposures(
  first: readonly Row[],
  second: readonly Row[],
): JointStatistic | undefined {
  const others = new Map(second.map(({ customer, exposure }) => [customer, exposure]));
  const pairs = first.flatMap(({ customer, exposure }): [number, number][] => {
    const other = others.get(customer);
    return other === undefined ? [] : [[exposure, other]];
  });
  if (pairs.length < SMALLEST_GROUP) return undefined;
  const mean = (of: (pair: readonly [number, number]) => number): number =>
    pairs.reduce((sum, pair) => sum + of(pair), 0) / pairs.length;
  const [a, b] = [mean(([x]) => x), mean(([, y]) => y)];
  const covariance = mean(([x, y]) => (x - a) * (y - b));
  const spread = Math.sqrt(mean(([x]) => (x - a) ** 2) * mean(([, y]) => (y - b) ** 2));
  return {
    customers: pairs.length,
    mean: [a, b],
    correlation: spread === 0 ? null : covariance / spread,
  };
}
