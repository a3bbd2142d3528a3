import { equalBytes } from '@cloister/bytes';
import { type LogHead, TamperedError } from '@cloister/sealing';
import type { RestoreOrder } from '../restore/restore-order.ts';
import type { Directory } from './directory.ts';
import type { Anchored, HeadAnchor } from './head-anchor.ts';
import type { LogReader } from './log-reader.ts';
import { RolledBackError } from './rolled-back-error.ts';

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

  /**
   * Begins with what is anchored, and checks that the log contains it. Where it does not, the party's
   * order may say so of this very state: then the anchor is moved. True where the log goes on by the
   * order, and nothing was written in it since.
   */
  async begin(order?: Pick<RestoreOrder, 'from' | 'to'>): Promise<boolean> {
    const { anchor, reader } = this.#options;
    this.#anchored = await anchor.read();
    if (this.#anchored === undefined) {
      // Its first entry is written only after the empty log was anchored.
      if (reader.head.position > 0) throw new TamperedError('entry_missing', 'anchored log head');
      await this.push();
      return false;
    }
    const here = anchorOf(reader.head);
    const isOrdered = order !== undefined && isSame(order.to, here);
    try {
      await this.#verify(this.#anchored);
      return isOrdered && isSame(this.#anchored, here);
    } catch (error) {
      if (!(error instanceof RolledBackError)) throw error;
      if (!isOrdered || !isSame(order.from, this.#anchored)) throw error;
      if ((await anchor.reset?.(this.#anchored, here)) !== true) throw error;
      this.#anchored = here;
      return true;
    }
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

  async #verify(anchored: Anchored): Promise<void> {
    const { anchor, reader, directory } = this.#options;
    const position = anchored.value - 1;
    if (position > reader.head.position) await reader.refresh();
    const isThere = position <= reader.head.position;
    const own = isThere ? directory.hashAt(position) : undefined;
    if (own !== undefined && equalBytes(own, anchored.hash)) return;
    throw new RolledBackError(isThere ? 'entry_replaced' : 'log_truncated', {
      anchored,
      found: reader.head,
      isOwnAnchor: anchor.reset !== undefined,
    });
  }
}

const isSame = (a: Anchored, b: Anchored): boolean =>
  a.value === b.value && equalBytes(a.hash, b.hash);

const anchorOf = ({ position, hash }: LogHead): Anchored => ({ value: position + 1, hash });
