import { decodeBase64url, encodeBase64url, MalformedError, parseJson } from '@cloister/bytes';
import { Shape } from '../shape.ts';
import type { CollateralDocument } from './document.ts';

/**
 * Where documents outlive the process: a folder, a database. What it gives back is verified anew,
 * so it need not be trusted; it may forget at any time.
 */
export interface DocumentStore {
  read(key: string): Promise<string | undefined>;
  write(key: string, text: string): Promise<void>;
}

/** A document with the time at which it was fetched. */
export interface StoredDocument {
  readonly document: CollateralDocument;
  readonly fetchedAt: Date;
}

/** The text in which a store keeps a document. */
export function encodeStored({ document: { body, chain }, fetchedAt }: StoredDocument): string {
  return JSON.stringify({
    fetchedAt: fetchedAt.toISOString(),
    body: encodeBase64url(body),
    ...(chain === undefined ? {} : { chain }),
  });
}

/** Reads what a store kept; undefined where it is nothing that we wrote. */
export function parseStored(text: string): StoredDocument | undefined {
  try {
    const members = new Shape(parseJson(text, 'document'), 'document').members(
      ['fetchedAt', 'body'],
      ['chain'],
    );
    const fetchedAt = new Date(members.get('fetchedAt').string());
    if (Number.isNaN(fetchedAt.getTime())) return undefined;
    const body = decodeBase64url(members.get('body').string(/^[\w-]*$/u), 'document');
    const chain = members.maybe('chain')?.string(/^[\s\S]{1,65536}$/u);
    return { document: { body, ...(chain === undefined ? {} : { chain }) }, fetchedAt };
  } catch (error) {
    if (error instanceof MalformedError) return undefined;
    throw error;
  }
}
