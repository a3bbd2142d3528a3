/**
 * Whether a client is in a transaction, and whether the gate refused a part of it: Redis has not
 * seen that part, and would execute the rest.
 */
export class Transaction {
  #state: 'none' | 'clean' | 'broken' = 'none';

  get isOpen(): boolean {
    return this.#state !== 'none';
  }

  /** Something was refused: if in a transaction, it cannot be executed any more. */
  break(): void {
    if (this.#state !== 'none') this.#state = 'broken';
  }

  /** Follows MULTI, EXEC and DISCARD; true: the client asks to execute a broken one. */
  follow(command: string): boolean {
    const isBroken = this.#state === 'broken';
    if (command === 'multi' && this.#state === 'none') this.#state = 'clean';
    else if (command === 'exec' || command === 'discard') this.#state = 'none';
    return isBroken && command === 'exec';
  }
}
