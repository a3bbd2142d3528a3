import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createHttpClient } from '@cloister/service';
import { closeServer } from './close-server.ts';

/** A host that somebody put between two services. */
export interface PassingHost {
  readonly url: string;
  close(): Promise<void>;
}

/** What passes through it, whole. */
export interface PassedAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
}

/**
 * Starts a host that answers as `answer` says, which is given the path that is asked for, and a
 * function that has the target answer.
 */
export async function startPassingHost(
  target: string,
  answer: (url: string, pass: () => Promise<PassedAnswer>) => Promise<PassedAnswer>,
): Promise<PassingHost> {
  const forward = createHttpClient();
  const handle = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const { status, headers, body } = await answer(request.url ?? '/', async () =>
      wholeOf(await forward(await copyRequest(request, target))),
    );
    response.writeHead(status, headers);
    response.end(body);
  };
  const server = createServer((request, response) => {
    handle(request, response).catch(() => response.writeHead(502).end());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  return {
    url: `http://127.0.0.1:${port}`,
    close: async () => {
      await closeServer(server);
      forward.close();
    },
  };
}

async function wholeOf(answer: Response): Promise<PassedAnswer> {
  const headers = Object.fromEntries(answer.headers);
  delete headers['content-length'];
  delete headers['transfer-encoding'];
  return { status: answer.status, headers, body: new Uint8Array(await answer.arrayBuffer()) };
}

/** What came in, as a request to the target. */
async function copyRequest(request: IncomingMessage, target: string): Promise<Request> {
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(Buffer.from(part));
  const headers = new Headers();
  for (const name of ['content-type', 'accept', 'incremental']) {
    const value = request.headers[name];
    if (typeof value === 'string') headers.set(name, value);
  }
  const { method = 'GET', url = '/' } = request;
  const body = method === 'GET' || method === 'HEAD' ? null : Buffer.concat(parts);
  return new Request(`${target}${url}`, { method, headers, body });
}
