import type { ChannelFetch } from '@cloister/channel';
import { ClientError } from '@cloister/client';

/**
 * Whether a request says something that the platform does not know yet: what somebody typed, chose or
 * searched for. What it has already it may be asked for; a session may always end.
 */
export function carriesInput({ method, url }: Request): boolean {
  if (method === 'DELETE') return false;
  return method !== 'GET' || new URL(url).searchParams.has('name');
}

/** A fetch that sends nothing new while there is a reason not to. */
export function guardSending(
  fetch: ChannelFetch,
  reason: () => 'input' | 'all' | undefined,
): ChannelFetch {
  return async (request, options) => {
    const stopped = reason();
    if (stopped === 'all' || (stopped === 'input' && carriesInput(request)))
      throw new ClientError('not_sent', 'trust');
    return fetch(request, options);
  };
}
