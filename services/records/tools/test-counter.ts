/** A broker's counter in memory: what the tests of the anchor ask. Not part of the service. */
import { ClientError } from '@cloister/client';
import type { CounterClient } from '../src/store/broker-anchor.ts';

type Answer = Awaited<ReturnType<CounterClient['readCounter']>>;

/** A counter that goes up only; `state` may be looked at and changed, as the party does. */
export function memoryCounter(): {
  readonly client: CounterClient;
  readonly state: { value: number; digest: string; fails?: 'unreachable' | 'sender_foreign' };
} {
  const state: ReturnType<typeof memoryCounter>['state'] = { value: 0, digest: '0'.repeat(64) };
  const answer = (name: string, code?: string): Answer => {
    if (state.fails === 'unreachable') throw new ClientError('unavailable', 'counter');
    const refusal = state.fails ?? (name === 'records-log' ? code : 'counter_unknown');
    if (refusal !== undefined) return { ok: false, code: refusal, checks: [] };
    const { value, digest } = state;
    const said = { deployment: 'lamna', party: 'hospital', manifest: 'm', name, time: 0 };
    return { ok: true, claims: { ...said, value, digest }, checks: [] };
  };
  const client: CounterClient = {
    readCounter: async (name) => answer(name),
    async advanceCounter(name, { expected, next, digest }) {
      if (next <= expected) return answer(name, 'counter_not_increasing');
      if (state.value !== expected) return answer(name, 'counter_conflict');
      if (state.fails === undefined) Object.assign(state, { value: next, digest });
      return answer(name);
    },
  };
  return { client, state };
}
