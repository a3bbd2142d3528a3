import { MalformedError } from '@cloister/bytes';
import { REPLY, ReplyScanner } from '../resp/reply-scanner.ts';
import { ReplyQueue } from './reply-queue.ts';

/** What a relay writes to, and whom it tells that Redis answers what was not asked. */
export interface RelayTarget {
  /** Sends the bytes from `from` to `to` to the client. */
  readonly write: (bytes: Buffer, from: number, to: number) => void;
  readonly confused: () => void;
}

/**
 * Passes on what Redis says, as it is, and puts the gate's own answers where their requests were.
 * Messages of subscriptions come between replies and belong to no request.
 */
export class ReplyRelay {
  readonly #target: RelayTarget;
  readonly #queue = new ReplyQueue();
  readonly #scanner = new ReplyScanner();
  /** Whether a client of RESP2 now gets messages among its replies. */
  #subscribed = false;
  #isConfused = false;

  constructor(target: RelayTarget) {
    this.#target = target;
  }

  /** How many answers are due. */
  get due(): number {
    return this.#queue.size;
  }

  /** Whether nothing is due, and no message is half sent. */
  get isQuiet(): boolean {
    return this.#queue.size === 0 && this.#scanner.isBetween;
  }

  /** A request went to Redis, whose reply is the client's. */
  expectReply(): void {
    this.#queue.addReply();
  }

  /** A subscription went to Redis; `subscribed` says whether any is left after it. */
  expectConfirmations(count: number, subscribed: boolean): void {
    this.#queue.addConfirmations(count, subscribed);
  }

  /** The gate asked Redis something itself: the reply is not shown, and must be no error. */
  expectUnseen(): void {
    this.#queue.addUnseen();
  }

  /** The gate's own answer, in its turn. */
  answer(bytes: Buffer): void {
    if (this.isQuiet) this.#target.write(bytes, 0, bytes.length);
    else this.#queue.addOwn(bytes);
  }

  /** Takes what came from Redis. */
  take(chunk: Buffer): void {
    const queue = this.#queue;
    const scanner = this.#scanner;
    // What is to be passed on starts here; -1 within a reply that nobody is to see.
    const isHidden = !scanner.isBetween && scanner.type !== REPLY.PUSH;
    let from = isHidden && queue.first?.kind === 'unseen' ? -1 : 0;
    let at = 0;
    try {
      while (at < chunk.length && !this.#isConfused) {
        if (scanner.isBetween && queue.first?.kind === 'unseen' && chunk[at] !== REPLY.PUSH) {
          this.#write(chunk, from, at);
          from = -1;
        }
        const end = scanner.next(chunk, at);
        if (end < 0) break;
        this.#account();
        if (from < 0) from = end;
        if (queue.first?.kind === 'own') {
          this.#write(chunk, from, end);
          from = end;
          for (const own of queue.takeOwn()) this.#write(own, 0, own.length);
        }
        at = end;
      }
    } catch (error) {
      if (!(error instanceof MalformedError)) throw error;
      this.#confuse();
    }
    this.#write(chunk, from, chunk.length);
  }

  /** One reply of Redis is whole: whose it is. */
  #account(): void {
    const { type, kind } = this.#scanner;
    const isPush = type === REPLY.PUSH;
    const first = this.#queue.first;
    if (first?.kind === 'replies' && !isPush && !this.#subscribed) {
      this.#queue.take();
      return;
    }
    if ((isPush || this.#subscribed) && (kind === 'message' || kind === 'pmessage')) return;
    if (first?.kind === 'confirmations' && kind.endsWith('subscribe'))
      this.#subscribed = this.#queue.take() ? first.subscribed : true;
    else if (isPush) return;
    else if (first === undefined || first.kind === 'own' || first.kind === 'confirmations')
      this.#confuse();
    else if (first.kind === 'unseen' && type === REPLY.ERROR) this.#confuse();
    else this.#queue.take();
  }

  #write(bytes: Buffer, from: number, to: number): void {
    if (from >= 0 && from < to && !this.#isConfused) this.#target.write(bytes, from, to);
  }

  #confuse(): void {
    this.#isConfused = true;
    this.#target.confused();
  }
}
