import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { decodeBase64 } from '@cloister/bytes';
import { type ChannelFetch, type ChannelOptions, createChannel } from '@cloister/channel';
import { createHttpClient } from '@cloister/service';
import type { Report } from './figure.ts';
import { generated, watchMemory } from './memory.ts';

const MIB = 1024 * 1024;
const STREAMED = 100 * MIB;
/** What sockets, streams and the collector of garbage take in any case, they have taken then. */
const WARM_UP = 32 * MIB;

/**
 * 100 MiB in each direction, in chunks over HTTP, client and gateway in a process of their own. `growth` is
 * of all their memory; most of it is garbage that waits for V8, whose threads collect it late where others
 * keep the cores busy. `held` is what the channel holds of the stream.
 */
export async function measureStreams(
  report: Report,
  open: (ohttp: Uint8Array) => Omit<ChannelOptions, 'url' | 'transport'>,
): Promise<void> {
  const server = fork(fileURLToPath(new URL('channel-stream-server.ts', import.meta.url)));
  const transport = createHttpClient();
  try {
    const started = await messageOf(server);
    const { url, ohttp } = started as { url: string; ohttp: string };
    const maxAnswerBytes = 2 * STREAMED;
    const channel = createChannel({ ...open(decodeBase64(ohttp)), url, transport, maxAnswerBytes });
    for (const [what, transfer] of [
      ['sent', send],
      ['received', receive],
    ] as const) {
      await transfer(channel, WARM_UP);
      for (const memory of ['resident', 'held'] as const) {
        server.send(memory);
        await messageOf(server);
        const own = watchMemory(memory);
        const start = performance.now();
        await transfer(channel, STREAMED);
        const seconds = (performance.now() - start) / 1000;
        const growth = own.growth();
        server.send('growth');
        const other = (await messageOf(server)) as { growth: number };
        const name = `100 MiB ${what} in chunks over HTTP`;
        if (memory === 'resident') report({ name, value: STREAMED / MIB / seconds, unit: 'MiB/s' });
        const told = memory === 'resident' ? 'growth of' : 'held by';
        report({ name: `${name}, ${told} the client`, value: growth, unit: 'MiB' });
        report({ name: `${name}, ${told} the gateway`, value: other.growth, unit: 'MiB' });
      }
    }
  } finally {
    transport.close();
    server.disconnect();
  }
}

async function send(channel: ChannelFetch, length: number): Promise<void> {
  const request = new Request('https://bench/count', { method: 'POST' });
  const response = await channel(request, { content: generated(length) });
  if ((await response.text()) !== String(length)) throw new TypeError('a wrong answer');
}

async function receive(channel: ChannelFetch, length: number): Promise<void> {
  const response = await channel(new Request(`https://bench/give?length=${length}`), {
    chunked: true,
  });
  let received = 0;
  for await (const piece of response.body ?? []) received += piece.length;
  if (received !== length) throw new TypeError('a wrong answer');
}

async function messageOf(server: ChildProcess): Promise<unknown> {
  const [message]: unknown[] = await once(server, 'message');
  return message;
}
