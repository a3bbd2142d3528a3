import { createServer } from 'node:net';
import { CommandError } from '../command-error.ts';

const NAMES = [
  'portal',
  'attestation',
  'records',
  'inference',
  'broker-hospital',
  'broker-diagnostics',
  'cache',
  'gate',
] as const;

/** Ports of a local deployment, all on the loopback interface; `gate` is where Redis is spoken. */
export type Ports = Readonly<Record<(typeof NAMES)[number], number>>;

const PORTS = NAMES.length;

/** Ports in a row from a first one; each must be free. */
export async function portsFrom(first: number): Promise<Ports> {
  for (let port = first; port < first + PORTS; port += 1) {
    // oxlint-disable-next-line no-await-in-loop -- the first one that is taken is named
    if ((await bind(port)) === undefined) {
      throw new CommandError(
        `port ${port} is taken: choose ${PORTS} free ones in a row with --port <first>`,
      );
    }
  }
  return portsOf((index) => first + index);
}

/** Any free ports. */
export async function anyPorts(): Promise<Ports> {
  const found = await Promise.all(NAMES.map(() => bind(0)));
  return portsOf((index) => found[index] ?? 0);
}

function portsOf(portOf: (index: number) => number): Ports {
  const port = (name: (typeof NAMES)[number]): number => portOf(NAMES.indexOf(name));
  return {
    portal: port('portal'),
    attestation: port('attestation'),
    records: port('records'),
    inference: port('inference'),
    'broker-hospital': port('broker-hospital'),
    'broker-diagnostics': port('broker-diagnostics'),
    cache: port('cache'),
    gate: port('gate'),
  };
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
