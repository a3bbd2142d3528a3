import { headHash, signHead, type Head } from '@cloister/attestation';

/** A head as it was signed. */
export interface IssuedHead {
  readonly jws: string;
  readonly hash: string;
  readonly logSize: number;
  readonly time: number;
}

/** How many heads are kept for those who come later: more than a lease's worth, one a minute. */
const KEPT = 64;

/** Issues signed heads (design 2.1, rule 8), keeps the recent ones, and lets others wait for the next. */
export class Heads {
  #recent: readonly IssuedHead[] = [];
  #waiting: (() => void)[] = [];
  #closed = false;

  /** Signs a head over what holds now, for everybody. */
  async issue(head: Head, key: CryptoKey): Promise<IssuedHead> {
    const issued = await sign(head, key);
    this.#recent = [issued, ...this.#recent].slice(0, KEPT);
    this.#wake();
    return issued;
  }

  /** Lets nobody wait any more: whoever does is answered with the newest head. */
  close(): void {
    this.#closed = true;
    this.#wake();
  }

  #wake(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const wake of waiting) wake();
  }

  get newest(): IssuedHead | undefined {
    return this.#recent[0];
  }

  /** The heads of the last so many seconds, newest first. */
  recent(seconds: number): readonly IssuedHead[] {
    const since = (this.newest?.time ?? 0) - seconds;
    return this.#recent.filter(({ time }) => time >= since);
  }

  /** Resolves when a head other than this one is the newest, or after so long. */
  async wait(hash: string, milliseconds: number): Promise<void> {
    if (this.#closed || this.newest?.hash !== hash) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, milliseconds);
      this.#waiting.push(() => {
        clearTimeout(timer);
        resolve();
      });
    });
  }
}

/** Signs a head that is not published: a witness gets it, or whoever audits the log. */
export async function sign(head: Head, key: CryptoKey): Promise<IssuedHead> {
  const jws = await signHead(head, key);
  return { jws, hash: await headHash(jws), logSize: head.logSize, time: head.time };
}
