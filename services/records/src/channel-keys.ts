import type { ChannelKeys } from '@cloister/channel';

/** A key of the channel, and until when messages to it are opened. */
export interface DatedKeys {
  readonly keys: ChannelKeys;
  /** Milliseconds since 1970. */
  readonly until: number;
}

/** The keys of the channel at a moment. */
export interface ChannelKeySet {
  /** The key that stands in the runtime data. */
  readonly shown: ChannelKeys;
  /** All that open messages: the one shown, the one before while it lives, the next one. */
  readonly accepted: readonly DatedKeys[];
}

/**
 * Where the channel's keys come from. All replicas of a deployment get the same, and get each before
 * any of them shows it: whatever one was sent, all can open.
 */
export interface ChannelKeySource {
  load(): Promise<ChannelKeySet>;
}
