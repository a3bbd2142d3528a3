import { errorCode, errorPlace, routeTemplate } from '@cloister/service';
import type { AttestationLog } from '../events.ts';
import type { StateStore } from '../state/state-store.ts';
import type { KeyRing } from './key-ring.ts';

/** What tending needs. */
export interface TendDeps {
  readonly keys: KeyRing;
  readonly state: StateStore;
  /** A new key is made when the last is so old; 0: never by itself. */
  readonly keyDays: number;
  readonly now: () => Date;
  readonly log: AttestationLog;
}

const DAY = 86_400;

/** Reads what other replicas rotated, and rotates when it is time: one replica does, by its claim. */
export async function tendKeys({ keys, state, keyDays, now, log }: TendDeps): Promise<void> {
  try {
    await keys.reload();
    const time = Math.floor(now().getTime() / 1000);
    const newest = Math.max(...keys.published().map(({ from }) => from));
    if (keyDays === 0 || time - newest < keyDays * DAY) return;
    const record = {
      time,
      actor: 'schedule',
      operation: 'rotate-key',
      subject: 'keys',
      digest: '',
      outcome: 'done',
    } as const;
    if (await state.claimRotation(await state.rotation(), record)) await keys.rotate();
    log('keys', { published: keys.published().length });
  } catch (error) {
    // The keys that are there go on signing; the next minute tries again.
    log('failed', {
      route: routeTemplate('/keys'),
      code: errorCode(error),
      where: errorPlace(error),
    });
  }
}
