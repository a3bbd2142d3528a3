import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, it } from 'node:test';
import { createHttpClient } from './http-client.ts';

describe('a client that is closed', () => {
  it('ends what waits for an answer, and does not ask once more over a new connection', async () => {
    let waiting = 0;
    const server = createServer((request, response) => {
      if (request.url === '/wait') {
        waiting += 1;
        server.emit('waiting');
      } else response.end('now');
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const client = createHttpClient();
    // The next one goes over a connection that is kept open: such a one is asked again when it breaks.
    await (await client(new Request(`${base}/now`))).text();
    const waits = once(server, 'waiting');
    const answer = client(new Request(`${base}/wait`));
    await waits;
    client.close();
    await assert.rejects(answer, { name: 'UnavailableError', code: 'unreachable' });
    assert.equal(waiting, 1);
    server.closeAllConnections();
    server.close();
  });
});
