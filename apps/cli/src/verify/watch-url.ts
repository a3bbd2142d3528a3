import type { BrokerWord } from './brokers.ts';
import { describeBriefly, measurementOf, newsOf } from './describe-verdict.ts';
import type { UrlVerdict } from './verify-url.ts';

/** How a service is watched. */
export interface WatchOptions {
  /** Asks the broker, where there is one. */
  readonly ask: (() => Promise<BrokerWord>) | undefined;
  /** Verifies once more, by the manifest in force now. */
  readonly verify: () => Promise<UrlVerdict>;
  /** Waits for the next look; false: it was the last. */
  readonly pause: () => Promise<boolean>;
  readonly say: (line: string) => void;
}

/**
 * Verifies a service again and again, and says a line whenever something is different: the verdict,
 * the code that runs, the manifest, or whether the broker answers. Gives the last verdict.
 */
export async function watchUrl({ ask, verify, pause, say }: WatchOptions): Promise<UrlVerdict> {
  let saidNews = '';
  let wasFaulty = false;
  let said = '';
  for (;;) {
    // oxlint-disable-next-line no-await-in-loop -- one look after the other
    const word = await ask?.();
    const news = word === undefined ? [] : newsOf(word);
    const isFaulty = word?.fault !== undefined;
    if (wasFaulty && !isFaulty) say('the broker answers again');
    if (news.join() !== saidNews) for (const line of news) say(line);
    saidNews = news.join();
    wasFaulty = isFaulty;
    // oxlint-disable-next-line no-await-in-loop -- see above
    const verdict = await verify();
    const is = stateOf(verdict);
    if (is !== said) say(describeBriefly(verdict));
    said = is;
    // oxlint-disable-next-line no-await-in-loop -- see above
    if (!(await pause())) return verdict;
  }
}

/** What has to change before a line is worth reading. */
function stateOf({ ok, code, service, manifest, claims }: UrlVerdict): string {
  const measured = claims === undefined ? '' : measurementOf(claims);
  return [ok, code, service, manifest.id, measured].join();
}
