import { createServer } from 'node:net';
import { CommandError } from '../command-error.ts';

/** Ports of a local deployment, all on the loopback interface. */
export interface Ports {
  readonly portal: number;
  readonly attestation: number;
  readonly records: number;
  readonly inference: number;
}

/** Four ports in a row from a first one; each must be free. */
export async function portsFrom(first: number): Promise<Ports> {
  const ports = { portal: first, attestation: first + 1, records: first + 2, inference: first + 3 };
  for (const port of Object.values(ports)) {
    if ((await bind(port)) === undefined) {
      throw new CommandError(
        `port ${port} is taken: choose four free ones in a row with --port <first>`,
      );
    }
  }
  return ports;
}

/** Any four free ports. */
export async function anyPorts(): Promise<Ports> {
  const [portal = 0, attestation = 0, records = 0, inference = 0] = await Promise.all(
    [0, 0, 0, 0].map(bind),
  ).then((found) => found.map((port) => port ?? 0));
  return { portal, attestation, records, inference };
}

/** Listens and stops: the port that it got, or undefined where it is taken. */
function bind(port: number): Promise<number | undefined> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(undefined));
    server.listen(port, '127.0.0.1', () => {
      const address = server.address();
      const got = typeof address === 'object' && address !== null ? address.port : port;
      server.close(() => resolve(got));
    });
  });
}
