/** The steps of the main job, in their order (issue A, "Must show"). */
export const STEPS = [
  'gate',
  'channel',
  'patient',
  'cache',
  'upload',
  'verify-provider',
  'prove-caller',
  'infer',
  'record',
  'notify',
] as const;
/** Name of a step. */
export type StepName = (typeof STEPS)[number];

/** What came of a step. */
export interface Step {
  readonly name: StepName;
  readonly ok: boolean;
  readonly ms: number;
}

/** A step refused to go on: somebody is not what was agreed on. */
export class Stopped extends Error {
  override readonly name = 'Stopped';
  readonly step: StepName;
  /** Stable code, such as `peer-not-trusted`. */
  readonly code: string;
  readonly taskStatus: string | undefined;

  constructor(step: StepName, code: string, message: string, taskStatus?: string) {
    super(message);
    this.step = step;
    this.code = code;
    this.taskStatus = taskStatus;
  }
}

/** Collects steps as they end, and tells whoever listens. */
export class StepLog {
  readonly steps: Step[] = [];
  readonly #tell: (step: Step) => void;

  constructor(tell: (step: Step) => void) {
    this.#tell = tell;
  }

  /** Runs one step and notes how long it took and whether it went well. */
  async run<T>(name: StepName, work: () => Promise<T>): Promise<T> {
    const started = performance.now();
    try {
      const result = await work();
      this.note({ name, ok: true, ms: performance.now() - started });
      return result;
    } catch (error) {
      this.note({ name, ok: false, ms: performance.now() - started });
      throw error;
    }
  }

  /** Notes a step that somebody else ran. */
  note(step: Step): void {
    const rounded = { ...step, ms: Math.round(step.ms * 10) / 10 };
    this.steps.push(rounded);
    this.#tell(rounded);
  }
}
