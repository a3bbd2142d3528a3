import type { Duplex } from 'node:stream';
import { Connection } from './connection.ts';
import type { Admission, AdmissionEnd, ConnectionDeps, GateDeps } from './gate-deps.ts';
import { ANSWERS } from './session.ts';
import { createSharedWays } from './shared-ways.ts';
import { ownWay } from './way.ts';

/** How often time is looked at. */
const SWEEP_MS = 250;

/** All connections. */
export interface Gate {
  /** Takes a client; `tls` is the SHA-256 of the SPKI of the certificate whose key it has shown. */
  accept(socket: Duplex, tls: string | undefined): void;
  /**
   * Judges all that are logged in once more: `judge` gives the new end of an admission; those for
   * whom there is none are cut.
   */
  recheck(judge: (admission: Admission) => AdmissionEnd | undefined): void;
  /** Looks at what time has brought; the gate does so by itself four times a second. */
  sweep(): void;
  readonly connections: () => { readonly fresh: number; readonly open: number };
  close(): void;
}

/** A gate without a port: TLS ends before it (design 3.4). */
export function createGate(options: GateDeps): Gate {
  const ways = createSharedWays(options.openUpstream, options.now);
  const deps: ConnectionDeps = {
    ...options,
    openWay: async (role, protocol, { shared, ...events }) =>
      shared
        ? ways.join(role, protocol, events)
        : ownWay(await options.openUpstream(role, protocol), options.now, events),
  };
  const connections = new Set<Connection>();
  let lastId = 0;
  const count = (): { fresh: number; open: number } => {
    let fresh = 0;
    for (const connection of connections) if (connection.isFresh) fresh += 1;
    return { fresh, open: connections.size - fresh };
  };
  const sweep = (): void => {
    const now = deps.now();
    for (const connection of connections) connection.sweep(now);
  };
  const timer = setInterval(sweep, SWEEP_MS);
  timer.unref();
  return {
    accept(socket, tls) {
      const { fresh, open } = count();
      if (fresh + open >= deps.limits.connections || fresh >= deps.limits.fresh) {
        deps.stats.login('too_many_connections');
        socket.on('error', () => socket.destroy());
        socket.end(ANSWERS.tooMany, () => socket.destroy());
        return;
      }
      lastId += 1;
      connections.add(
        new Connection(socket, {
          deps,
          id: lastId,
          tls,
          ended: (connection) => connections.delete(connection),
        }),
      );
    },
    recheck(judge) {
      for (const connection of connections) {
        const { admission } = connection;
        if (admission === undefined) continue;
        const end = judge(admission);
        if (end === undefined) connection.cut('manifest');
        else connection.shorten(end);
      }
    },
    sweep,
    connections: count,
    close() {
      clearInterval(timer);
      for (const connection of connections) connection.cut('shutdown');
      ways.close();
    },
  };
}
