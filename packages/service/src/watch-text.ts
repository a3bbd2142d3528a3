/** What is watched, and who is told of it. */
export interface TextWatch {
  readonly read: () => Promise<string>;
  /** Told of each text that differs from the one before, the first one too. */
  readonly onText: (text: string) => Promise<void>;
  /** Told of what fails in either. */
  readonly onFailure: (error: unknown) => void;
  /** Milliseconds between two looks; 1 s unless told. */
  readonly everyMs?: number;
}

const EVERY_MS = 1000;

/** Looks at a small text again and again, as at a file that somebody replaces; gives what ends it. */
export function watchText(options: TextWatch): () => void {
  const { read, onText, onFailure, everyMs = EVERY_MS } = options;
  let seen: string | undefined;
  let failing = false;
  let stopped = false;
  let timer: NodeJS.Timeout | undefined;
  const look = async (): Promise<void> => {
    try {
      const text = await read();
      failing = false;
      if (text === seen) return;
      seen = text;
      await onText(text);
    } catch (error) {
      // It may be in the middle of being replaced; what lasts is told once.
      if (failing) return;
      failing = true;
      onFailure(error);
    }
  };
  const schedule = (): void => {
    if (!stopped) timer = setTimeout(() => void look().then(schedule), everyMs).unref();
  };
  schedule();
  return () => {
    stopped = true;
    clearTimeout(timer);
  };
}
