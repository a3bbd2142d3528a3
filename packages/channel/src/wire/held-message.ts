import { type Bytes, joinPieces } from '@cloister/bytes';
import { piecesOf, readPieces, streamedBody, streamOf } from './byte-stream.ts';
import { ReadRequest, ReadResponse } from './read-by-bytes.ts';

/** What fetch itself knows of a body. */
interface Native {
  readonly body: ReadableStream | null;
  readonly bodyUsed: boolean;
}

/**
 * Content that is at hand, as the body of a fetch object. Fetch would copy it into a stream and out of
 * it again; read whole, it is handed over as it is. The stream is there for whoever asks for it.
 */
class HeldContent {
  readonly #native: () => Native;
  #pieces: readonly Bytes[] | undefined;

  constructor(pieces: readonly Bytes[], native: () => Native) {
    this.#pieces = pieces;
    this.#native = native;
  }

  get used(): boolean {
    return this.#pieces === undefined || this.#native().bodyUsed;
  }

  /** The content, once; TypeError where it was read before, as fetch has it. */
  take(): readonly Bytes[] {
    const pieces = this.peek();
    this.#pieces = undefined;
    return pieces;
  }

  peek(): readonly Bytes[] {
    const { body, bodyUsed } = this.#native();
    if (this.#pieces === undefined || bodyUsed || body?.locked)
      throw new TypeError('Body is unusable: it has been read already');
    return this.#pieces;
  }
}

/** A request whose whole content is at hand. */
export class HeldRequest extends ReadRequest {
  readonly #held: HeldContent;

  constructor(url: string, init: RequestInit, content: Bytes) {
    super(url, { ...init, ...streamedBody(streamOf([content])) });
    this.#held = new HeldContent([content], () => ({ body: super.body, bodyUsed: super.bodyUsed }));
  }

  override get bodyUsed(): boolean {
    return this.#held.used;
  }

  override async bytes(): Promise<Bytes> {
    return joinPieces(this.#held.take());
  }

  override clone(): Request {
    const content = joinPieces(this.#held.peek());
    const { url, method, headers, signal } = this;
    return new HeldRequest(url, { method, headers, signal }, content);
  }
}

/** A response whose whole content is at hand, in one or more pieces. */
export class HeldResponse extends ReadResponse {
  readonly #held: HeldContent;

  constructor(pieces: readonly Bytes[], init: ResponseInit) {
    super(streamOf(pieces), init);
    this.#held = new HeldContent(pieces, () => ({ body: super.body, bodyUsed: super.bodyUsed }));
  }

  override get bodyUsed(): boolean {
    return this.#held.used;
  }

  override async bytes(): Promise<Bytes> {
    return joinPieces(this.#held.take());
  }

  override clone(): Response {
    const { status, statusText, headers } = this;
    return new HeldResponse(this.#held.peek(), { status, statusText, headers });
  }

  /** The content of a response, once, copied no more often than whoever made it wanted. */
  static async piecesOf(response: Response): Promise<readonly Bytes[]> {
    if (response instanceof HeldResponse) return response.#held.take();
    if (response.bodyUsed) throw new TypeError('Body is unusable: it has been read already');
    return (await readPieces(piecesOf(response.body), Infinity)) ?? [];
  }
}
