import { once } from 'node:events';
import type { Server } from 'node:http';

/** Cuts the connections of a server, and returns when it is gone. */
export async function closeServer(server: Server): Promise<void> {
  server.closeAllConnections();
  server.close();
  await once(server, 'close');
}
