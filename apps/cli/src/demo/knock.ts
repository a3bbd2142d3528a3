import { once } from 'node:events';
import type { VerifiedPeer } from '@cloister/attestation';
import { createTlsKey } from '@cloister/attester';
import { connectToGate } from '@cloister/service';
import { random } from '../local-trust.ts';

/** Where a cache gate is. */
export interface GateAddress {
  /** Its plain surface, where it gives evidence. */
  readonly url: string;
  /** Where it speaks Redis' protocol, over TLS. */
  readonly port: number;
}

/**
 * Knocks at the gate with a TLS key of our own: logs in by a token where one is given, else asks for a
 * key of `records` without. Gives what the gate answers, in Redis' protocol.
 */
export async function knock(
  port: number,
  peer: VerifiedPeer,
  token: string | undefined,
): Promise<string> {
  const { cert, key } = await createTlsKey({ service: 'thief', now: () => new Date(), random });
  const socket = await connectToGate({ host: '127.0.0.1', port, peer, cert, key });
  try {
    const command = token === undefined ? ['GET', 'records:x'] : ['AUTH', 'records', token];
    const parts = command.map((part) => `$${Buffer.byteLength(part)}\r\n${part}\r\n`).join('');
    socket.write(`*${command.length}\r\n${parts}`);
    const answer: unknown[] = await once(socket, 'data');
    return String(answer[0]);
  } finally {
    socket.destroy();
  }
}
