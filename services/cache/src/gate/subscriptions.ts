import type { CommandSpec } from '../access/command-table.ts';

/**
 * What one client has subscribed to: so that the gate knows how many confirmations Redis will
 * send, and when a client of RESP2 is among the subscribers.
 */
export class Subscriptions {
  readonly #channels = new Set<string>();
  readonly #patterns = new Set<string>();

  /** Channels and patterns together. */
  get size(): number {
    return this.#channels.size + this.#patterns.size;
  }

  /**
   * Carries out SUBSCRIBE, PSUBSCRIBE, UNSUBSCRIBE or PUNSUBSCRIBE and gives the number of
   * confirmations; undefined, and nothing done, where there would be more than `limit`.
   */
  change(command: string, names: readonly string[], limit: number): number | undefined {
    const chosen = command.startsWith('p') ? this.#patterns : this.#channels;
    if (!command.includes('unsub')) {
      if (this.size + names.length > limit) return undefined;
      for (const name of names) chosen.add(name);
      return names.length;
    }
    if (names.length === 0) {
      const count = Math.max(1, chosen.size);
      chosen.clear();
      return count;
    }
    for (const name of names) chosen.delete(name);
    return names.length;
  }
}

/** Whether a client of RESP2 may send this while it is subscribed to anything. */
export function isForSubscribers(command: CommandSpec | string | undefined): boolean {
  return (
    typeof command === 'object' && (command.name === 'ping' || command.name.endsWith('subscribe'))
  );
}
