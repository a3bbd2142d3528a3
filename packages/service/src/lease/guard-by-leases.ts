import type { Gateway } from '@cloister/channel';
import { problem } from '../problem.ts';
import type { HeldLease } from './keep-lease.ts';

/**
 * A gateway that opens nothing any more once a lease on the keys has ended without renewal: whoever
 * released them could have taken the release back by then (design 2.1, rule 6).
 */
export function guardByLeases(
  gateway: Gateway,
  leases: readonly Pick<HeldLease, 'name' | 'isRunning'>[],
): Gateway {
  return {
    handle: async (request) => {
      const over = leases.find((lease) => !lease.isRunning());
      if (over === undefined) return gateway.handle(request);
      const why = `the lease on ${over.name} was not renewed by whoever keeps it`;
      // Behind a balancer the next connection is another replica's.
      return problem(503, 'lease_over', why, { connection: 'close' });
    },
  };
}
