/** The gateway's process of the streaming figures: forked, so that its memory is its own. */
import { type Bytes, encodeBase64 } from '@cloister/bytes';
import { createChannelKeys, createGateway, encodeKeyConfigs } from '@cloister/channel';
import { nodeChannelPrimitives, serve } from '@cloister/service';
import { generated, watchMemory } from './memory.ts';

const keys = await createChannelKeys({
  kem: 'x-wing',
  keyId: 1,
  primitives: nodeChannelPrimitives(),
});
const gateway = createGateway({
  keys: () => [keys],
  now: () => new Date(),
  fetch: answer,
  maxChunkedBytes: 2 ** 30,
});
const serving = await serve({ app: { fetch: (request) => gateway.handle(request) }, port: 0 });
let watched = watchMemory('resident');
process.on('message', (message) => {
  if (message === 'resident' || message === 'held') {
    watched = watchMemory(message);
    process.send?.('watching');
  } else process.send?.({ growth: watched.growth() });
});
process.on('disconnect', () => process.exit(0));
process.send?.({ url: serving.url, ohttp: encodeBase64(encodeKeyConfigs(keys)) });

/** Counts what it is sent, or gives as much as it is asked for. */
async function answer(request: Request): Promise<Response> {
  const { pathname, searchParams } = new URL(request.url);
  if (pathname === '/give') return new Response(streamOf(Number(searchParams.get('length'))));
  let length = 0;
  for await (const piece of request.body ?? []) length += piece.length;
  return new Response(String(length));
}

function streamOf(length: number): ReadableStream<Bytes> {
  const pieces = generated(length);
  return new ReadableStream<Bytes>(
    {
      async pull(controller) {
        const { done, value } = await pieces.next();
        if (done === true) controller.close();
        else controller.enqueue(value);
      },
    },
    { highWaterMark: 0 },
  );
}
