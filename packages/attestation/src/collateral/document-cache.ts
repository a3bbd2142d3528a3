import { MalformedError } from '@cloister/bytes';
import { Lru } from '../intel/lru.ts';
import { Refusal } from '../intel/progress.ts';
import { FetchProblem, type CollateralFailure } from './collateral-failure.ts';
import type { CollateralProtocol } from './collateral-protocol.ts';
import type { DocumentOrigin, Fetched, Freshness } from './collateral-source.ts';
import { DocumentClient, type DocumentClientOptions } from './document-client.ts';
import {
  documentKey,
  documentName,
  type CollateralDocument,
  type DocumentDates,
  type DocumentId,
} from './document.ts';
import { encodeStored, parseStored, type DocumentStore } from './document-store.ts';

/** How documents are kept. */
export interface DocumentCacheOptions extends DocumentClientOptions {
  /** A document in date is asked for again after so long, in the background; a day unless told. */
  readonly maxAgeSeconds?: number;
  /** A document that was served already expired is not asked for again so soon; 5 min unless told. */
  readonly retryExpiredSeconds?: number;
  /** How many documents are kept in memory; 4096 unless told. */
  readonly entries?: number;
  readonly store?: DocumentStore;
}

/** Verifies a document at intake, and gives its dates; throws Refusal or MalformedError. */
export type AcceptDocument = (
  id: DocumentId,
  document: CollateralDocument,
) => Promise<DocumentDates>;

interface Entry {
  readonly document: CollateralDocument;
  readonly dates: DocumentDates;
  readonly fetchedAt: Date;
  /** Of the last attempt to replace it. */
  lastFailure?: CollateralFailure;
}

type Refreshed = { readonly entry: Entry } | { readonly failure: CollateralFailure };

/**
 * The documents of one server. They are kept until their own end (`nextUpdate`) and no longer;
 * after `maxAgeSeconds` they are still handed out while a newer one is asked for. A document is
 * asked for once at a time, however many want it. VCEKs and their chains have no end; AMD's CRLs are never
 * kept. What was not verified, and what is older than what is there, gets in never.
 */
export class DocumentCache {
  readonly #options: DocumentCacheOptions;
  readonly #accept: AcceptDocument;
  readonly #client: DocumentClient;
  readonly #name: string;
  readonly #entries: Lru<Entry>;
  readonly #running = new Map<string, Promise<Refreshed>>();

  constructor(protocol: CollateralProtocol, accept: AcceptDocument, options: DocumentCacheOptions) {
    this.#options = options;
    this.#accept = accept;
    this.#client = new DocumentClient(protocol, options);
    this.#name = protocol.name;
    this.#entries = new Lru(options.entries ?? 4096);
  }

  /** A document with its origin, or why there is none. */
  async get(id: DocumentId): Promise<Fetched<CollateralDocument>> {
    const key = documentKey(id);
    const kept = id.kind === 'amd-crl' ? undefined : await this.#find(key, id);
    if (kept !== undefined) {
      const freshness = this.#freshness(id, kept);
      if (freshness === 'fresh') return this.#answer(id, kept);
      if (freshness === 'stale') {
        // The answer does not wait for this; what comes of it stands in the next one.
        this.#refresh(key, id, kept).catch((error: unknown) => {
          kept.lastFailure = this.#failure(id, error);
        });
        return this.#answer(id, kept);
      }
      if (this.#ageOf(kept) < (this.#options.retryExpiredSeconds ?? 300)) {
        return this.#answer(id, kept);
      }
    }
    const refreshed = await this.#refresh(key, id, kept);
    if ('entry' in refreshed) return this.#answer(id, refreshed.entry);
    return { ok: false, failures: [refreshed.failure] };
  }

  async #find(key: string, id: DocumentId): Promise<Entry | undefined> {
    const entry = this.#entries.get(key);
    const { store } = this.#options;
    if (entry !== undefined || store === undefined) return entry;
    const text = await store.read(`${this.#name}|${key}`);
    const stored = text === undefined ? undefined : parseStored(text);
    if (stored === undefined) return undefined;
    try {
      const restored = { ...stored, dates: await this.#accept(id, stored.document) };
      this.#entries.set(key, restored);
      return restored;
    } catch (error) {
      // A store that was changed, or a root that no longer counts: as if nothing were there.
      if (isRefused(error)) return undefined;
      throw error;
    }
  }

  #refresh(key: string, id: DocumentId, kept: Entry | undefined): Promise<Refreshed> {
    const running = this.#running.get(key) ?? this.#replace(key, id, kept);
    this.#running.set(key, running);
    return running.finally(() => {
      if (this.#running.get(key) === running) this.#running.delete(key);
    });
  }

  async #replace(key: string, id: DocumentId, kept: Entry | undefined): Promise<Refreshed> {
    try {
      const document = await this.#client.fetch(id);
      const dates = await this.#accept(id, document);
      if (kept !== undefined && isOlder(dates, kept.dates)) {
        throw new FetchProblem({ code: 'older_than_known' });
      }
      const entry: Entry = { document, dates, fetchedAt: this.#options.now() };
      if (id.kind !== 'amd-crl') {
        this.#entries.set(key, entry);
        await this.#options.store?.write(`${this.#name}|${key}`, encodeStored(entry));
      }
      return { entry };
    } catch (error) {
      if (!isRefused(error)) throw error;
      const failure = this.#failure(id, error);
      if (kept !== undefined) kept.lastFailure = failure;
      return { failure };
    }
  }

  #failure(id: DocumentId, error: unknown): CollateralFailure {
    const whose = { source: this.#name, document: documentName(id) };
    if (error instanceof FetchProblem) return { ...error.failure, ...whose };
    const detail = isRefused(error) ? error.message : 'unexpected error';
    return { code: 'bad_answer', detail, ...whose };
  }

  #ageOf({ fetchedAt }: Entry): number {
    return Math.max(0, (this.#options.now().getTime() - fetchedAt.getTime()) / 1000);
  }

  #freshness(id: DocumentId, entry: Entry): Freshness {
    if (id.kind === 'vcek') return 'fresh';
    const { nextUpdate } = entry.dates;
    if (nextUpdate !== undefined && !(this.#options.now() <= nextUpdate)) return 'expired';
    return this.#ageOf(entry) <= (this.#options.maxAgeSeconds ?? 86_400) ? 'fresh' : 'stale';
  }

  #answer(id: DocumentId, entry: Entry): Fetched<CollateralDocument> {
    const { nextUpdate } = entry.dates;
    const origin: DocumentOrigin = {
      document: documentName(id),
      source: this.#name,
      fetchedAt: entry.fetchedAt,
      ageSeconds: Math.floor(this.#ageOf(entry)),
      ...(nextUpdate === undefined ? {} : { nextUpdate }),
      freshness: this.#freshness(id, entry),
      ...(entry.lastFailure === undefined ? {} : { lastFailure: entry.lastFailure }),
    };
    return { ok: true, value: entry.document, origins: [origin], failures: [] };
  }
}

function isRefused(error: unknown): error is FetchProblem | Refusal | MalformedError {
  return (
    error instanceof FetchProblem || error instanceof Refusal || error instanceof MalformedError
  );
}

/** A lower number, or with the same number an earlier issue: time does not run backwards. */
function isOlder(next: DocumentDates, kept: DocumentDates): boolean {
  const [a, b] = [next.evaluationNumber, kept.evaluationNumber];
  if (a !== undefined && b !== undefined && a !== b) return a < b;
  return next.issued !== undefined && kept.issued !== undefined && next.issued < kept.issued;
}
