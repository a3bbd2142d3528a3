import type { Bytes } from '@cloister/bytes';
import { bufferOf, joinPieces, streamedBody, streamOf } from './byte-stream.ts';

interface Native {
  readonly body: ReadableStream | null;
  readonly bodyUsed: boolean;
}

/**
 * Content that is at hand, as the body of a fetch object. Fetch would copy it into a stream and out of
 * it again; read whole, it is handed over as it is. The stream is there for whoever asks for it.
 */
class HeldContent {
  #pieces: readonly Bytes[] | undefined;

  constructor(pieces: readonly Bytes[]) {
    this.#pieces = pieces;
  }

  get taken(): boolean {
    return this.#pieces === undefined;
  }

  /** The content, once; TypeError where it was read before, as fetch has it. */
  take(native: Native): Bytes {
    const pieces = this.peek(native);
    this.#pieces = undefined;
    return joinPieces(pieces);
  }

  peek({ body, bodyUsed }: Native): readonly Bytes[] {
    if (this.#pieces === undefined || bodyUsed || body?.locked)
      throw new TypeError('Body is unusable: it has been read already');
    return this.#pieces;
  }
}

/** A request whose whole content is at hand. */
export class HeldRequest extends Request {
  readonly #held: HeldContent;

  constructor(url: string, init: RequestInit, content: Bytes) {
    super(url, { ...init, ...streamedBody(streamOf([content])) });
    this.#held = new HeldContent([content]);
  }

  get #native(): Native {
    return { body: super.body, bodyUsed: super.bodyUsed };
  }

  override get bodyUsed(): boolean {
    return this.#held.taken || super.bodyUsed;
  }

  override async bytes(): Promise<Bytes> {
    return this.#held.take(this.#native);
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

  override clone(): Request {
    const content = joinPieces(this.#held.peek(this.#native));
    const { url, method, headers, signal } = this;
    return new HeldRequest(url, { method, headers, signal }, content);
  }
}

/** A response whose whole content is at hand, in one or more pieces. */
export class HeldResponse extends Response {
  readonly #held: HeldContent;

  constructor(pieces: readonly Bytes[], init: ResponseInit) {
    super(streamOf(pieces), init);
    this.#held = new HeldContent(pieces);
  }

  get #native(): Native {
    return { body: super.body, bodyUsed: super.bodyUsed };
  }

  override get bodyUsed(): boolean {
    return this.#held.taken || super.bodyUsed;
  }

  override async bytes(): Promise<Bytes> {
    return this.#held.take(this.#native);
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

  override clone(): Response {
    const pieces = this.#held.peek(this.#native);
    const { status, statusText, headers } = this;
    return new HeldResponse(pieces, { status, statusText, headers });
  }
}
