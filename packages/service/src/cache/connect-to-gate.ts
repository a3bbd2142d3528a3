import { createHash } from 'node:crypto';
import { connect, type TLSSocket } from 'node:tls';
import type { VerifiedPeer } from '@cloister/attestation';
import { UnavailableError } from '../unavailable-error.ts';

/** Where the gate is, what it must be, and what the caller shows of itself. */
export interface GateConnection {
  readonly host: string;
  readonly port: number;
  /** The gate, verified by its evidence: a connection counts only if it ends at its `tls` key. */
  readonly peer: VerifiedPeer;
  /** The caller's own attested TLS key and a certificate with it, PEM. */
  readonly cert: string;
  readonly key: string;
}

const CONNECT_MS = 5000;

/**
 * Connects with TLS 1.3 to the very gate that was verified: its certificate is not looked at, its
 * key is, which must be the `tls` key of the evidence (design 2.1, rule 4). Throws UnavailableError,
 * `bad_answer` where something else answered.
 */
export function connectToGate(options: GateConnection): Promise<TLSSocket> {
  const { host, port, peer, cert, key } = options;
  return new Promise((resolve, reject) => {
    const socket = connect({
      host,
      port,
      cert,
      key,
      minVersion: 'TLSv1.3',
      // The key is compared below, before anything is sent: authorities say nothing about it.
      rejectUnauthorized: false,
    });
    const fail = (code: 'unreachable' | 'timeout' | 'bad_answer', cause?: unknown): void => {
      socket.destroy();
      reject(new UnavailableError(code, 'cache gate', { cause }));
    };
    const timer = setTimeout(() => fail('timeout'), CONNECT_MS);
    const failed = (error: Error): void => {
      clearTimeout(timer);
      fail('unreachable', error);
    };
    socket.once('error', failed);
    socket.once('secureConnect', () => {
      clearTimeout(timer);
      socket.off('error', failed);
      if (peer.tls === undefined || keyOf(socket) !== peer.tls) {
        socket.on('error', () => socket.destroy());
        fail('bad_answer');
        return;
      }
      socket.setNoDelay(true);
      resolve(socket);
    });
  });
}

/** SHA-256 of the SPKI whose key the other side has shown, lower hex. */
function keyOf(socket: TLSSocket): string | undefined {
  const spki = socket.getPeerX509Certificate()?.publicKey.export({ type: 'spki', format: 'der' });
  return spki === undefined ? undefined : createHash('sha256').update(spki).digest('hex');
}
