import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createHttpClient } from '@cloister/service';
import { copyRequest } from './tamper.ts';

interface Kept {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
}

/**
 * A host between a service and a key broker that passes everything on, and answers what asks for heads
 * with the first answer that there was: the service hears of nothing that happened since.
 */
export async function startFreezingHost(
  target: string,
): Promise<{ readonly url: string; readonly server: Server }> {
  const forward = createHttpClient();
  const frozen = new Map<string, Kept>();
  const pass = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const path = (request.url ?? '').split('?')[0] ?? '';
    const heads = path.startsWith('/v1/head');
    const kept = heads ? frozen.get(path) : undefined;
    const { status, headers, body } = kept ?? (await ask(await copyRequest(request, target)));
    if (heads && status === 200) frozen.set(path, { status, headers, body });
    response.writeHead(status, headers);
    response.end(body);
  };
  const ask = async (request: Request): Promise<Kept> => {
    const answer = await forward(request);
    const headers = Object.fromEntries(answer.headers);
    delete headers['content-length'];
    delete headers['transfer-encoding'];
    return { status: answer.status, headers, body: new Uint8Array(await answer.arrayBuffer()) };
  };
  const server = createServer((request, response) => {
    pass(request, response).catch(() => response.writeHead(502).end());
  });
  server.on('close', () => forward.close());
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  return { url: `http://127.0.0.1:${port}`, server };
}
