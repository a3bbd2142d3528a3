import { type Bytes, joinPieces } from '@cloister/bytes';
import { piecesOf } from './byte-stream.ts';
import { ReadResponse } from './read-by-bytes.ts';

/**
 * A response whose content is still on its way. Browsers tell of every error of a body in the same words;
 * read whole, this one fails with the error of its stream.
 */
export class StreamedResponse extends ReadResponse {
  override async bytes(): Promise<Bytes> {
    if (this.bodyUsed || this.body?.locked) throw new TypeError('Body is unusable');
    const pieces: Bytes[] = [];
    for await (const piece of piecesOf(this.body)) pieces.push(piece);
    return joinPieces(pieces);
  }
}
