/** A reader of untrusted input, and what holds for it whatever the input. */
export interface Target {
  readonly name: string;
  /** Genuine inputs; mutations start from them. */
  readonly seeds: () => readonly Uint8Array[] | Promise<readonly Uint8Array[]>;
  /** Words of the format, to be inserted. */
  readonly words?: readonly string[];
  /** How large inputs get; 64 KiB unless told. */
  readonly maxLength?: number;
  /** The longest that one input may take, in milliseconds; 250 unless told. */
  readonly limitMs?: number;
  /** Reads; whatever it throws must be one of the errors that are documented. */
  readonly run: (input: Uint8Array<ArrayBuffer>) => unknown;
  /** Whether an error is documented: MalformedError alone, unless told. */
  readonly documented?: (error: unknown) => boolean;
}

/** An input that broke a rule. */
export interface Finding {
  readonly target: string;
  readonly rule: 'undocumented error' | 'too slow' | 'too much memory' | 'hang';
  readonly detail: string;
  readonly inputBase64: string;
}

/** What a run came to. */
export interface FuzzReport {
  readonly target: string;
  readonly executions: number;
  /** Inputs that were kept, for each reached something new. */
  readonly corpus: number;
  /** Stretches of our own code that ran, each counted when it was new. */
  readonly blocks: number;
  readonly findings: readonly Finding[];
}
