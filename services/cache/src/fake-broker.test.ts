import { headHash } from '@cloister/attestation';
import type { Fetch } from '@cloister/service';

/** The plain routes of a key broker, which say what a test wants them to. */
export interface FakeBroker {
  readonly fetch: Fetch;
  /** Newest first. */
  heads: string[];
  /** The files of the manifests that were in force, oldest first. */
  manifests: string[];
  /** Whether nobody answers. */
  isAway: boolean;
  /** Signs a head: who waits for the next one gets it. */
  push(head: string): void;
  /** How often heads were asked for. */
  asked: number;
}

/** A broker of the hospital, whose host may withhold what it says. */
export function createFakeBroker(heads: readonly string[], manifest: string): FakeBroker {
  let next = Promise.withResolvers<void>();
  const answer = async (url: URL): Promise<Response> => {
    if (url.pathname === '/v1/heads') return Response.json({ heads: broker.heads });
    if (url.pathname === '/v1/head') {
      // What is signed while this is found out counts as well.
      const signed = next.promise;
      const newest = await headHash(broker.heads[0] ?? '');
      if (url.searchParams.get('after') === newest) await signed;
      return Response.json({ head: broker.heads[0] });
    }
    if (url.pathname === '/v1/manifest')
      return new Response(broker.manifests.at(-1) ?? '', {
        headers: { 'content-type': 'application/json' },
      });
    if (url.pathname === '/v1/manifest/history')
      return Response.json({
        manifests: broker.manifests.map((text) => JSON.parse(text) as object),
      });
    return new Response(null, { status: 404 });
  };
  const broker: FakeBroker = {
    heads: [...heads],
    manifests: [manifest],
    isAway: false,
    asked: 0,
    push(head) {
      broker.heads = [head, ...broker.heads];
      next.resolve();
      next = Promise.withResolvers();
    },
    fetch: async (request) => {
      const url = new URL(request.url);
      if (url.pathname.startsWith('/v1/head')) broker.asked += 1;
      if (broker.isAway) throw Object.assign(new Error('away'), { code: 'unreachable' });
      return answer(url);
    },
  };
  return broker;
}
