import { createHash, constants } from 'node:crypto';
import { createServer, type TLSSocket } from 'node:tls';
import type { TlsKey } from '@cloister/attester';
import { ConfigError, errorCode } from '@cloister/service';
import type { Gate } from './gate/gate.ts';

/** How long a TLS handshake may take, in milliseconds. */
const HANDSHAKE_MS = 5000;
/** Handshakes at once, on top of the connections of the gate. */
const HANDSHAKES = 256;

/** A gate that listens. */
export interface Listening {
  readonly port: number;
  close(): Promise<void>;
}

/** What listens, and where. */
export interface ListenOptions {
  readonly gate: Gate;
  readonly tls: TlsKey;
  readonly host: string;
  /** 0 takes any free port. */
  readonly port: number;
  readonly maxConnections: number;
  /** Told of handshakes that failed, by code. */
  readonly onHandshakeFailure: (code: string) => void;
}

/**
 * Ends TLS 1.3 in this process. Clients are asked for a certificate, which may be signed by
 * anybody: the handshake shows that they have its key, and the gate compares that key with the
 * token's. There are no tickets: every connection shows its key anew. Throws ConfigError.
 */
export async function listenTls(options: ListenOptions): Promise<Listening> {
  const { gate, tls, host, port } = options;
  const server = createServer(
    {
      cert: tls.cert,
      key: tls.key,
      minVersion: 'TLSv1.3',
      requestCert: true,
      rejectUnauthorized: false,
      handshakeTimeout: HANDSHAKE_MS,
      secureOptions: constants.SSL_OP_NO_TICKET,
      noDelay: true,
    },
    (socket) => gate.accept(socket, keyOf(socket)),
  );
  server.maxConnections = options.maxConnections + HANDSHAKES;
  server.on('tlsClientError', (error) => options.onHandshakeFailure(errorCode(error)));
  await new Promise<void>((resolve, reject) => {
    const fail = (error: Error): void =>
      reject(new ConfigError(`gate port: ${errorCode(error)}`, { cause: error }));
    server.once('error', fail);
    server.listen(port, host, () => {
      server.off('error', fail);
      resolve();
    });
  });
  const address = server.address();
  if (address === null || typeof address === 'string') throw new ConfigError('gate port');
  return {
    port: address.port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        gate.close();
      }),
  };
}

/** SHA-256 of the SPKI of the certificate whose key the client has shown, lower hex. */
function keyOf(socket: TLSSocket): string | undefined {
  const spki = socket.getPeerX509Certificate()?.publicKey.export({ type: 'spki', format: 'der' });
  return spki === undefined ? undefined : createHash('sha256').update(spki).digest('hex');
}
