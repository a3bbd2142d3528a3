/** One field of evidence, and where it stands. */
export interface Field {
  /** From the start of the evidence, wrapping included; absent where a field is not of bytes. */
  readonly offset?: number;
  readonly size?: number;
  readonly name: string;
  readonly value: string;
  /** What the value says, in words. */
  readonly meaning?: string;
}

/** Fields that belong together. */
export interface Section {
  readonly title: string;
  readonly fields: readonly Field[];
}

/** Evidence taken apart. Nothing in it is verified. */
export interface Inspection {
  readonly kind: string;
  readonly size: number;
  readonly sections: readonly Section[];
  /** Where it could not be read further, and why. */
  readonly problems: readonly string[];
}
