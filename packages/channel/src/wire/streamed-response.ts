import type { Bytes } from '@cloister/bytes';
import { bufferOf, joinPieces, piecesOf } from './byte-stream.ts';

/**
 * A response whose content is still on its way. Browsers tell of every error of a body in the same words;
 * read whole, this one fails with the error of its stream.
 */
export class StreamedResponse extends Response {
  override async bytes(): Promise<Bytes> {
    if (this.bodyUsed || this.body?.locked) throw new TypeError('Body is unusable');
    const pieces: Bytes[] = [];
    for await (const piece of piecesOf(this.body)) pieces.push(piece);
    return joinPieces(pieces);
  }

  override async arrayBuffer(): Promise<ArrayBuffer> {
    return bufferOf(await this.bytes());
  }

  override async text(): Promise<string> {
    return new TextDecoder().decode(await this.bytes());
  }

  override async json(): Promise<unknown> {
    return JSON.parse(await this.text());
  }
}
