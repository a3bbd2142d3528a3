import type { Tensor } from '@cloister/client';
import type { ModelContract } from '@cloister/clinical';

/** A grid over the image with values from 0 to 1. */
export interface HeatMap {
  readonly width: number;
  readonly height: number;
  readonly values: readonly number[];
}

/**
 * The heat map of a finding: the class maps that the contract names, weighted by the probability of
 * their class, what speaks against the finding cut off, scaled to its own greatest value. It shows
 * where, not how much. Undefined where the contract has none or the answer holds none.
 */
export function heatMapOf(
  contract: ModelContract,
  outputs: Readonly<Record<string, Tensor>>,
): HeatMap | undefined {
  const { heatMap } = contract.finding;
  const output = heatMap === undefined ? undefined : contract.outputs[heatMap.from];
  const tensor = heatMap === undefined ? undefined : outputs[heatMap.from];
  const probabilities = outputs['probabilities'];
  if (heatMap === undefined || output === undefined || tensor === undefined) return undefined;
  const [, , height = 0, width = 0] = tensor.shape;
  const size = width * height;
  const values = Array.from({ length: size }, (_, at) =>
    heatMap.classes.reduce((sum, label) => {
      const index = output.labels.indexOf(label);
      return sum + (probabilities?.data[index] ?? 0) * (tensor.data[index * size + at] ?? 0);
    }, 0),
  );
  const greatest = Math.max(...values);
  if (!(greatest > 0)) return undefined;
  const scaled = values.map((v) => Math.round((Math.max(0, v) / greatest) * 10_000) / 10_000);
  return { width, height, values: scaled };
}
