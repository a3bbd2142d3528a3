import type { VerifiedPeer } from '@cloister/attestation';
import { decodeBase64 } from '@cloister/bytes';
import { type CallOptions, ChannelError, createChannel } from '@cloister/channel';
// The page stands in for the verifier: what is under test is the channel behind it.
import { markVerified } from '../../packages/attestation/src/peer/verified-peer.ts';

/** Where the gateway is, and its key configurations in base64. */
export interface Gateway {
  readonly url: string;
  readonly ohttp: string;
}

/** What the page offers to the test. */
export interface ChannelPage {
  /** Sends so many bytes and compares what comes back; in how many pieces it came. */
  echo(
    gateway: Gateway,
    size: number,
    options: CallOptions,
  ): Promise<{ same: boolean; pieces: number }>;
  /** Reads events and asks, through the channel, for the next one after each. */
  followEvents(gateway: Gateway, count: number): Promise<readonly string[]>;
  /** The code of the error that reading an answer to its end ends in; undefined where it does not. */
  readToEnd(gateway: Gateway, path: string): Promise<string | undefined>;
}

function open({ url, ohttp }: Gateway) {
  const parts: unknown = { service: 'test', ohttp: decodeBase64(ohttp) };
  return createChannel({
    peer: markVerified(parts as VerifiedPeer),
    url,
    transport: (request) => fetch(request),
    now: () => new Date(),
    random: (length) => crypto.getRandomValues(new Uint8Array(length)),
  });
}

/** See `ChannelPage`. */
export const page: ChannelPage = {
  async echo(gateway, size, options) {
    const body = Uint8Array.from({ length: size }, (_, i) => (i * 31) % 251);
    const request = new Request('https://test/echo', { method: 'POST', body });
    const response = await open(gateway)(request, options);
    const reader = response.body?.getReader();
    let at = 0;
    let pieces = 0;
    let same = true;
    for (;;) {
      const result = await reader?.read();
      if (result === undefined || result.done) break;
      const { value } = result;
      for (let i = 0; i < value.length; i++) same &&= value[i] === body[at + i];
      at += value.length;
      pieces++;
    }
    return { same: same && at === size, pieces };
  },

  async followEvents(gateway, count) {
    const channel = open(gateway);
    const accept = 'text/event-stream';
    const response = await channel(new Request('https://test/events', { headers: { accept } }));
    const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
    const seen: string[] = [];
    for (let text = ''; seen.length < count; ) {
      const result = await reader?.read();
      if (result === undefined || result.done) break;
      text += result.value;
      const lines = text.split('\n');
      text = lines.pop() ?? '';
      for (const line of lines.filter((one) => one.startsWith('data: '))) {
        seen.push(line.slice(6));
        await channel(new Request('https://test/next', { method: 'POST' }));
      }
    }
    await reader?.cancel();
    return seen;
  },

  async readToEnd(gateway, path) {
    try {
      const response = await open(gateway)(new Request(`https://test${path}`), { chunked: true });
      await response.arrayBuffer();
      return undefined;
    } catch (error) {
      return error instanceof ChannelError ? error.code : String(error);
    }
  },
};
