import { MalformedError } from '@cloister/bytes';
import { FetchProblem, type CollateralFailureCode } from './collateral-failure.ts';
import type { CollateralProtocol } from './collateral-protocol.ts';
import type { CollateralDocument, DocumentId } from './document.ts';
import { readBody } from './read-body.ts';
import { readRetryAfter } from './retry-after.ts';

/** How requests go out; `globalThis.fetch` in a browser, an HTTP client of one's own in Node. */
export type CollateralFetch = (request: Request) => Promise<Response>;

/** How a server is asked. */
export interface DocumentClientOptions {
  readonly fetch: CollateralFetch;
  readonly now: () => Date;
  /** Waits. Without it nothing is asked twice. */
  readonly wait?: (milliseconds: number) => Promise<void>;
  /** How often one document is asked for before the answer is a failure; 3 unless told. */
  readonly attempts?: number;
  /** The longest to wait for one more attempt; 15 s unless told: AMD wants 10. */
  readonly maxWaitSeconds?: number;
  /** How large an answer may be; 4 MiB unless told. */
  readonly maxBytes?: number;
}

const WORTH_ANOTHER_TRY: readonly CollateralFailureCode[] = [
  'unreachable',
  'unavailable',
  'rate_limited',
];
const STATUSES: ReadonlyMap<number, CollateralFailureCode> = new Map([
  [400, 'refused'],
  [401, 'refused'],
  [403, 'refused'],
  [404, 'not_found'],
  [410, 'gone'],
  [429, 'rate_limited'],
  [500, 'unavailable'],
  [502, 'unavailable'],
  [503, 'unavailable'],
  [504, 'unavailable'],
]);

/** Asks one server for documents, as often as it lets us, and reads what it answers. */
export class DocumentClient {
  readonly #protocol: CollateralProtocol;
  readonly #options: DocumentClientOptions;
  /** Before this the server does not want to hear of us. */
  #silentUntil = new Date(0);

  constructor(protocol: CollateralProtocol, options: DocumentClientOptions) {
    this.#protocol = protocol;
    this.#options = options;
  }

  /** The document as served; throws FetchProblem, or MalformedError for an answer that is none. */
  async fetch(id: DocumentId): Promise<CollateralDocument> {
    const { attempts = 3, wait } = this.#options;
    for (let attempt = 1; ; attempt++) {
      try {
        await this.#keepSilence();
        return await this.#ask(id);
      } catch (error) {
        if (!(error instanceof FetchProblem)) throw error;
        const again = this.#delayAfter(error, attempt);
        if (wait === undefined || attempt >= attempts || again === undefined) throw error;
        await wait(again);
      }
    }
  }

  /** Waits as long as the server asked for, if that is not too long; else fails at once. */
  async #keepSilence(): Promise<void> {
    const { now, wait, maxWaitSeconds = 15 } = this.#options;
    const retryAt = this.#silentUntil;
    const left = retryAt.getTime() - now().getTime();
    if (left <= 0) return;
    if (wait === undefined || left > maxWaitSeconds * 1000) {
      throw new FetchProblem({ code: 'rate_limited', retryAt });
    }
    await wait(left);
  }

  #delayAfter({ failure }: FetchProblem, attempt: number): number | undefined {
    const { now, maxWaitSeconds = 15 } = this.#options;
    if (!WORTH_ANOTHER_TRY.includes(failure.code)) return undefined;
    const wanted = failure.retryAt;
    const delay = wanted ? wanted.getTime() - now().getTime() : 500 * 2 ** (attempt - 1);
    return delay > maxWaitSeconds * 1000 ? undefined : Math.max(0, delay);
  }

  async #ask(id: DocumentId): Promise<CollateralDocument> {
    const { fetch, maxBytes = 4 << 20 } = this.#options;
    // An address that was configured is not left: what answers there is what is named as the source.
    const request = new Request(this.#protocol.request(id), { redirect: 'error' });
    let response: Response;
    let body: Uint8Array<ArrayBuffer>;
    try {
      response = await fetch(request);
      body = await readBody(response, maxBytes);
    } catch (error) {
      if (error instanceof FetchProblem) throw error;
      // Whatever a transport throws says that no answer came.
      throw new FetchProblem({ code: 'unreachable' }, { cause: error });
    }
    if (response.status !== 200) throw this.#problemOf(response);
    try {
      return this.#protocol.read(id, { headers: response.headers, body });
    } catch (error) {
      if (!(error instanceof MalformedError)) throw error;
      const detail = error.message;
      throw new FetchProblem({ code: 'bad_answer', status: 200, detail }, { cause: error });
    }
  }

  #problemOf({ status, headers }: Response): FetchProblem {
    const { now } = this.#options;
    const code = this.#protocol.statuses?.get(status) ?? STATUSES.get(status) ?? 'bad_answer';
    const retryAt = readRetryAfter(headers, now());
    if (code === 'rate_limited' && retryAt !== undefined) this.#silentUntil = retryAt;
    return new FetchProblem({ code, status, ...(retryAt === undefined ? {} : { retryAt }) });
  }
}
