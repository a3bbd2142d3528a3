import type { CollateralDocument, DocumentId } from './document.ts';

/** How to ask one kind of server for documents. */
export interface CollateralProtocol {
  /** Names the source in answers and failures. */
  readonly name: string;
  /** The request for a document; FetchProblem where this kind of server has none such. */
  request(id: DocumentId): Request;
  /** Reads a successful answer; MalformedError where it is none. */
  read(id: DocumentId, response: ServerAnswer): CollateralDocument;
  /** What a status other than those of `failureOfStatus` means here. */
  readonly statuses?: ReadonlyMap<number, 'not_found' | 'gone' | 'refused' | 'unavailable'>;
}

/** An answer whose body was read, within bounds. */
export interface ServerAnswer {
  readonly headers: Headers;
  readonly body: Uint8Array<ArrayBuffer>;
}
