import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import { describe, it } from 'node:test';
import { createHttpClient } from './http-client.ts';
import { runMain, type MainProcess } from './run-main.ts';
import { serve, untilSignal } from './serve.ts';
import { ConfigError } from './config-error.ts';

describe('serve', () => {
  it('listens where it says, and stops after the answers under way', async () => {
    const held = Promise.withResolvers<void>();
    const serving = await serve({
      port: 0,
      app: {
        fetch: async (request) => {
          if (request.url.endsWith('/slow')) await held.promise;
          return new Response('done');
        },
      },
    });
    assert.match(serving.url, /^http:\/\/127\.0\.0\.1:\d+$/);
    const client = createHttpClient();
    const slow = client(new Request(`${serving.url}/slow`));
    await client(new Request(`${serving.url}/quick`));
    const closed = serving.close();
    held.resolve();
    assert.equal(await (await slow).text(), 'done');
    await closed;
    await assert.rejects(client(new Request(serving.url)), { code: 'unreachable' });
    client.close();
  });

  it('cuts off what does not end in time', async () => {
    const serving = await serve({
      port: 0,
      graceMs: 30,
      app: { fetch: () => new Promise<Response>(() => undefined) },
    });
    const client = createHttpClient();
    const hung = assert.rejects(client(new Request(serving.url)), { code: 'unreachable' });
    await new Promise((resolve) => setTimeout(resolve, 20));
    await serving.close();
    await hung;
    client.close();
  });

  it('says when the port is taken', async () => {
    const app = { fetch: () => new Response() };
    const serving = await serve({ app, port: 0 });
    const port = Number(new URL(serving.url).port);
    await assert.rejects(serve({ app, port }), { name: 'ConfigError', where: 'port: EADDRINUSE' });
    await serving.close();
  });
});

describe('untilSignal', () => {
  for (const signal of ['SIGTERM', 'SIGINT'] as const)
    it(`waits for ${signal}`, async () => {
      const signals = new EventEmitter();
      const waiting = untilSignal(signals);
      signals.emit(signal);
      assert.equal(await waiting, signal);
    });
});

const run = async (error?: Error): Promise<unknown[]> => {
  let text = '';
  const owner: MainProcess = { stderr: { write: (more) => (text += more) } };
  await runMain(owner, async () => {
    if (error !== undefined) throw error;
  });
  return [owner.exitCode, text];
};

describe('runMain', () => {
  it('makes of an error one line without its message, and an exit code', async () => {
    assert.deepEqual(await run(), [undefined, '']);
    assert.deepEqual(await run(new ConfigError('port: x')), [2, 'configuration: port: x\n']);
    assert.deepEqual(await run(new TypeError('CANARY')), [1, 'internal\n']);
  });
});
