/**
 * One side of the benchmark of the cache, as a process of its own: `through` passes bytes on as
 * they are, `gate` is the gate without TLS (possible only here: the gate itself knows no such
 * option), `gate-tls` the gate as it is. Prints the port, the certificate and its key.
 */
import { connect, createServer, type AddressInfo } from 'node:net';
import { createTlsKey } from '@cloister/attester';
import type { VerifiedCaller } from '@cloister/attestation';
import { parseRole } from '../../services/cache/src/access/role.ts';
import { createGate } from '../../services/cache/src/gate/gate.ts';
import { LIMITS } from '../../services/cache/src/gate/limits.ts';
import { createGateStats } from '../../services/cache/src/counting-stats.test.ts';
import { listenTls } from '../../services/cache/src/listen-tls.ts';
import { openUpstream } from '../../services/cache/src/upstream/upstream.ts';

const [kind = '', path = ''] = process.argv.slice(2);

if (kind === 'through') {
  const server = createServer({ noDelay: true }, (client) => {
    const redis = connect({ path });
    client.on('error', () => redis.destroy());
    redis.on('error', () => client.destroy());
    client.pipe(redis);
    redis.pipe(client);
  });
  server.listen(0, '127.0.0.1', () => tell((server.address() as AddressInfo).port));
} else {
  const role = parseRole('bench', '~key:* +@read +@write');
  const upstream = await openUpstream({ path }, [role]);
  const gate = createGate({
    limits: LIMITS,
    now: Date.now,
    // Tokens are judged once per connection: here any one is good, and it is not measured.
    authenticate: async () => ({
      ok: true,
      admission: {
        role,
        expires: Date.now() + 3_600_000,
        ending: 'expired',
        caller: {} as VerifiedCaller,
        headTime: 0,
      },
    }),
    openUpstream: (one, protocol) => upstream.open(one, protocol),
    version: upstream.version,
    stats: createGateStats(),
    onFault: () => process.exit(1),
  });
  if (kind === 'gate') {
    const server = createServer({ noDelay: true }, (socket) => gate.accept(socket, undefined));
    server.listen(0, '127.0.0.1', () => tell((server.address() as AddressInfo).port));
  } else {
    const tls = await createTlsKey({ service: 'cache', now: () => new Date(), random });
    const { port } = await listenTls({
      gate,
      tls,
      host: '127.0.0.1',
      port: 0,
      maxConnections: 1000,
      onHandshakeFailure: () => undefined,
    });
    tell(port);
  }
}

function random(length: number): Uint8Array<ArrayBuffer> {
  return crypto.getRandomValues(new Uint8Array(length));
}

function tell(port: number): void {
  process.stdout.write(`listening ${port}\n`);
}
