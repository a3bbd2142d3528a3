/** One measured figure; a ratio is to what `against` names, measured in the same run. */
export interface Figure {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  readonly ratio?: number;
  readonly against?: string;
}

/** Takes a figure as soon as it was measured. */
export type Report = (figure: Figure) => void;
