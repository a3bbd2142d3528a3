/** A network between browser and platform that a test can slow down, cut, and let lose answers. */
import { createServer, connect, type AddressInfo, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';

/** What a connection carries now, as far as one can see from outside. */
type Kind = 'call' | 'stream' | 'other';

/** A TCP relay to one address of this machine. */
export interface FlakyNetwork {
  readonly url: string;
  /** Bytes a second towards the platform; not limited where undefined. */
  rate: number | undefined;
  /** Whether what comes on event streams is held back. */
  holdStreams: boolean;
  /** For each of the next calls whether its answer is lost, after the platform had it whole. */
  readonly lose: boolean[];
  /** How many event streams have begun. */
  readonly streams: () => number;
  /** Cuts off all event streams. */
  readonly cutStreams: () => void;
  readonly stop: () => void;
}

/** Starts a relay to the port of this URL. */
export async function startFlakyNetwork(target: string): Promise<FlakyNetwork> {
  const open = new Map<Socket, { kind: Kind }>();
  let streams = 0;
  const server = createServer((client) => {
    const state: { kind: Kind } = { kind: 'other' };
    open.set(client, state);
    const upstream = connect(Number(new URL(target).port), '127.0.0.1');
    const end = (): void => {
      open.delete(client);
      client.destroy();
      upstream.destroy();
    };
    for (const socket of [client, upstream]) {
      socket.on('error', end);
      socket.on('close', end);
    }
    void relayUp(client, upstream, (kind) => {
      state.kind = kind;
      if (kind === 'stream') streams += 1;
    });
    upstream.on('data', (chunk: Buffer) => {
      if (state.kind === 'stream' && network.holdStreams) return;
      if (state.kind === 'call') {
        state.kind = 'other';
        if (network.lose.shift() === true) {
          end();
          return;
        }
      }
      client.write(chunk);
    });
  });
  const relayUp = async (
    client: Socket,
    upstream: Socket,
    onRequest: (kind: Kind) => void,
  ): Promise<void> => {
    try {
      for await (const chunk of client as AsyncIterable<Buffer>) {
        const kind = kindOf(chunk);
        if (kind !== undefined) onRequest(kind);
        if (network.rate !== undefined) await delay((1000 * chunk.length) / network.rate);
        if (!upstream.write(chunk)) await new Promise((resolve) => upstream.once('drain', resolve));
      }
    } catch (error) {
      // Cut by the test or by the browser, which is what this is for.
      if (!(error instanceof Error && 'code' in error)) throw error;
    }
  };
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const network: FlakyNetwork = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    rate: undefined,
    holdStreams: false,
    lose: [],
    streams: () => streams,
    cutStreams() {
      for (const [socket, { kind }] of open) if (kind === 'stream') socket.destroy();
    },
    stop() {
      for (const socket of open.keys()) socket.destroy();
      server.close();
    },
  };
  return network;
}

/** The kind of the request that begins with these bytes; undefined where none does. */
function kindOf(chunk: Buffer): Kind | undefined {
  const head = chunk.subarray(0, 2048).toString('latin1');
  if (!/^[A-Z]+ \S+ HTTP\/1\.1\r\n/.test(head)) return undefined;
  if (/\r\ncontent-type: message\/ohttp-chunked-req\r\n/i.test(head)) return 'stream';
  return /\r\ncontent-type: message\/ohttp-req\r\n/i.test(head) ? 'call' : 'other';
}
