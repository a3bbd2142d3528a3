import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { uploadTransport, type SentBytes } from './upload-transport.ts';

const GATEWAY = 'https://records.example/.well-known/ohttp-gateway';

/** An XMLHttpRequest whose events the test makes. */
class FakeXhr extends EventTarget {
  readonly upload = new EventTarget();
  readonly headers = new Map<string, string>();
  opened: readonly string[] = [];
  body: ArrayBuffer | undefined;
  aborted = false;
  timeout = 0;
  status = 200;
  responseURL = GATEWAY;
  responseType = '';
  response: ArrayBuffer = Uint8Array.of(9).buffer;

  open(...args: string[]): void {
    this.opened = args;
  }
  setRequestHeader(name: string, value: string): void {
    this.headers.set(name, value);
  }
  getAllResponseHeaders(): string {
    return 'content-type: message/ohttp-res\r\nx-y: a: b\r\n';
  }
  send(body: ArrayBuffer): void {
    this.body = body;
  }
  abort(): void {
    this.aborted = true;
    this.dispatchEvent(new Event('abort'));
  }
  progress(loaded: number): void {
    this.upload.dispatchEvent(Object.assign(new Event('progress'), { loaded }));
  }
}

/** A request on its way, and how to go on with it. */
async function start(stop = new AbortController()) {
  const xhr = new FakeXhr();
  const seen: SentBytes[] = [];
  const transport = uploadTransport(
    (progress) => seen.push(progress),
    () => xhr as unknown as XMLHttpRequest,
  );
  const request = new Request(GATEWAY, {
    method: 'POST',
    headers: { 'content-type': 'message/ohttp-req' },
    body: new Uint8Array(100),
    signal: stop.signal,
  });
  const answer = transport(request);
  answer.catch(() => undefined);
  // The body is read first.
  while (xhr.body === undefined && !stop.signal.aborted)
    await new Promise((resolve) => {
      setImmediate(resolve);
    });
  return { xhr, seen, stop, answer };
}

describe('uploadTransport', () => {
  it('sends what fetch would, and gives back what came', async () => {
    const { xhr, answer } = await start();
    assert.deepEqual(xhr.opened, ['POST', GATEWAY]);
    assert.equal(xhr.headers.get('content-type'), 'message/ohttp-req');
    assert.equal(xhr.body?.byteLength, 100);
    xhr.dispatchEvent(new Event('load'));
    const response = await answer;
    assert.equal(response.status, 200);
    assert.equal(response.headers.get('content-type'), 'message/ohttp-res');
    assert.equal(response.headers.get('x-y'), 'a: b');
    assert.deepEqual(await response.bytes(), Uint8Array.of(9));
  });

  it('says how many bytes are out, and all of them only when they are', async () => {
    const { xhr, seen, answer } = await start();
    xhr.progress(40);
    xhr.progress(100);
    xhr.upload.dispatchEvent(new Event('load'));
    assert.deepEqual(
      seen.map(({ sent, total }) => [sent, total]),
      [
        [0, 100],
        [40, 100],
        [99, 100],
        [100, 100],
      ],
    );
    assert.ok(xhr.timeout > 100_000, 'the answer may not take for ever');
    xhr.dispatchEvent(new Event('load'));
    await answer;
  });

  it('ends when its caller does, before and while it sends', async () => {
    const { xhr, stop, answer } = await start();
    stop.abort();
    await assert.rejects(answer, { name: 'AbortError' });
    assert.equal(xhr.aborted, true);
    const late = new AbortController();
    late.abort();
    const never = await start(late);
    await assert.rejects(never.answer, { name: 'AbortError' });
    assert.equal(never.xhr.body, undefined);
  });

  it('has no answer where the network fails, time is over, or somebody redirects', async () => {
    for (const type of ['error', 'timeout']) {
      const { xhr, answer } = await start();
      xhr.dispatchEvent(new Event(type));
      await assert.rejects(answer, TypeError);
    }
    const { xhr, answer } = await start();
    xhr.responseURL = 'https://elsewhere.example/';
    xhr.dispatchEvent(new Event('load'));
    await assert.rejects(answer, { message: 'redirected' });
  });
});
