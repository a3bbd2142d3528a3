import { equalBytes } from '@cloister/bytes';
import { type LogHead, TamperedError } from '@cloister/sealing';
import type { Directory } from './directory.ts';
import type { Anchored, HeadAnchor } from './head-anchor.ts';
import type { LogReader } from './log-reader.ts';

/** What the keeper of an anchor works with. */
export interface AnchorKeeperOptions {
  readonly anchor: HeadAnchor;
  readonly reader: LogReader;
  readonly directory: Directory;
  /** How long the newest entries may stay without an anchor, milliseconds (the manifest says). */
  readonly delayMs: number;
  /** Told of an anchor that cannot be reached; the log itself is not affected. */
  readonly onFailure: (error: unknown) => void;
}

/** What the manifest's `auditAnchor` says: milliseconds, or until the answer leaves; 1 s unless told. */
export function anchorWithin(text: string | undefined): number | 'answer' {
  if (text === 'answer') return text;
  const [, count = '1', unit = 's'] = /^(\d+)(ms|s|m)$/.exec(text ?? '') ?? [];
  return Number(count) * ({ ms: 1, s: 1000, m: 60_000 }[unit] ?? 1000);
}

/** Other replicas anchor too: so often they may come first. */
const MOST_TRIES = 10;

/**
 * Anchors the head of the log as it grows, and compares: whatever was anchored, by any replica, must
 * stand in the log that this process reads.
 */
export class AnchorKeeper {
  readonly #options: AnchorKeeperOptions;
  #anchored: Anchored | undefined;
  #timer: NodeJS.Timeout | undefined;
  #pushing: Promise<void> | undefined;
  #closed = false;

  constructor(options: AnchorKeeperOptions) {
    this.#options = options;
  }

  /** What was anchored when this process last looked. */
  get anchored(): Anchored | undefined {
    return this.#anchored;
  }

  /** Begins with what was anchored before the log was read, and checks that the log contains it. */
  async begin(): Promise<void> {
    const { anchor, reader } = this.#options;
    this.#anchored = await anchor.read();
    if (this.#anchored === undefined) {
      // Its first entry is written only after the empty log was anchored.
      if (reader.head.position > 0) throw new TamperedError('entry_missing', 'anchored log head');
      await this.push();
    } else await this.#verify(this.#anchored);
  }

  /** Looks whether the log still contains what is anchored now. */
  async check(): Promise<void> {
    const anchored = await this.#options.anchor.read();
    if (anchored === undefined) throw new TamperedError('entry_missing', 'anchored log head');
    this.#anchored = anchored;
    await this.#verify(anchored);
  }

  /** Has the head anchored within the delay. */
  schedule(): void {
    if (this.#closed) return;
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.push().catch((error: unknown) => this.#options.onFailure(error));
    }, this.#options.delayMs).unref();
  }

  /** Anchors the head of now. */
  push(): Promise<void> {
    const earlier = this.#pushing ?? Promise.resolve();
    const run = earlier.then(() => this.#push());
    const settled = run.catch(() => undefined);
    this.#pushing = settled;
    return run;
  }

  /** Anchors what is left, and ends. */
  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    await this.push();
  }

  async #push(): Promise<void> {
    const { anchor, reader } = this.#options;
    for (let tries = 0; tries < MOST_TRIES; tries++) {
      const next = anchorOf(reader.head);
      if (this.#anchored !== undefined && this.#anchored.value >= next.value) return;
      if (await anchor.advance(this.#anchored, next)) {
        this.#anchored = next;
        return;
      }
      await this.check();
    }
  }

  async #verify({ value, hash }: Anchored): Promise<void> {
    const { reader, directory } = this.#options;
    const position = value - 1;
    const where = `log entry ${position}`;
    if (position > reader.head.position) await reader.refresh();
    if (position > reader.head.position) throw new TamperedError('log_truncated', where);
    const own = directory.hashAt(position);
    if (own === undefined || !equalBytes(own, hash))
      throw new TamperedError('entry_replaced', where);
  }
}

const anchorOf = ({ position, hash }: LogHead): Anchored => ({ value: position + 1, hash });
