/** What the gate still owes a client, in the order of its requests. */
type Owed =
  /** So many replies of Redis, passed on as they are. */
  | { readonly kind: 'replies'; count: number }
  /** The confirmations of one subscription request; what mode the client is in after them. */
  | { readonly kind: 'confirmations'; count: number; readonly subscribed: boolean }
  /** A reply to what the gate asked itself: nobody sees it. */
  | { readonly kind: 'unseen' }
  /** An answer of the gate's own. */
  | { readonly kind: 'own'; readonly bytes: Buffer };

/**
 * Keeps the order of replies: those of Redis, and the gate's own in between. Runs of requests
 * take one entry, so that a pipeline costs nothing.
 */
export class ReplyQueue {
  #entries: Owed[] = [];
  #head = 0;
  /** Replies of Redis that are still to come. */
  #open = 0;
  #own = 0;

  /** All that is still to come, the gate's own answers among it. */
  get size(): number {
    return this.#open + this.#own;
  }

  /** What comes next. */
  get first(): Owed | undefined {
    return this.#entries[this.#head];
  }

  /** One more request went to Redis. */
  addReply(): void {
    const last = this.#entries.at(-1);
    this.#open += 1;
    if (last?.kind === 'replies' && this.#head < this.#entries.length) last.count += 1;
    else this.#entries.push({ kind: 'replies', count: 1 });
  }

  /** A request went to Redis that is confirmed `count` times, or answered by one error. */
  addConfirmations(count: number, subscribed: boolean): void {
    this.#open += count;
    this.#entries.push({ kind: 'confirmations', count, subscribed });
  }

  /** The gate asked Redis something of its own. */
  addUnseen(): void {
    this.#open += 1;
    this.#entries.push({ kind: 'unseen' });
  }

  /** The gate answers itself, when all before has been answered. */
  addOwn(bytes: Buffer): void {
    this.#own += 1;
    this.#entries.push({ kind: 'own', bytes });
  }

  /** One reply of the first entry has come; true when the entry is done. */
  take(): boolean {
    const first = this.first;
    if (first === undefined || first.kind === 'own') return false;
    this.#open -= 1;
    if (first.kind !== 'unseen' && --first.count > 0) return false;
    this.#shift();
    return true;
  }

  /** The gate's own answers that are due now. */
  takeOwn(): Buffer[] {
    const due: Buffer[] = [];
    for (let first = this.first; first?.kind === 'own'; first = this.first) {
      due.push(first.bytes);
      this.#own -= 1;
      this.#shift();
    }
    return due;
  }

  #shift(): void {
    this.#head += 1;
    if (this.#head === this.#entries.length) {
      this.#entries = [];
      this.#head = 0;
    } else if (this.#head > 1024) {
      this.#entries = this.#entries.slice(this.#head);
      this.#head = 0;
    }
  }
}
