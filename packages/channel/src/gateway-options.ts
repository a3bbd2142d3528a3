import type { Bytes } from '@cloister/bytes';
import type { ChannelKeys } from './ohttp/channel-keys.ts';
import type { ReplayMemory } from './replay-memory.ts';

/** How far an inner Date may be from the gateway's clock (RFC 9458 section 6.5.2), milliseconds. */
export const DATE_WINDOW: number = 5 * 60_000;

/** What the application may know of the encapsulation that a request came in. */
export interface EncapsulationContext {
  /** SHA-256(enc): recorded, unique, in the same transaction as the effect of the request. */
  readonly encapsulation: Bytes;
  /** SHA-256(enc ‖ key_config): what a caller's signature names. */
  readonly binding: Bytes;
}

/** The server half of the channel: encapsulated requests in, encapsulated responses out. */
export interface Gateway {
  handle(request: Request): Promise<Response>;
}

/** What a gateway needs. */
export interface GatewayOptions {
  /** The keys of now: those of the runtime data, and older ones until nobody uses them. */
  readonly keys: () => readonly ChannelKeys[];
  readonly now: () => Date;
  /** In memory unless given. */
  readonly replay?: ReplayMemory;
  /** The application: the same object that would serve plain requests. */
  readonly fetch: (request: Request, context: EncapsulationContext) => Promise<Response> | Response;
  /** Told about errors that the application threw: the answer inside is a bare 500. */
  readonly onError?: (error: unknown) => void;
  /** How large an encapsulated request may be; 38 MiB unless told (32 MiB of content, padded). */
  readonly maxRequestBytes?: number;
  /** As `maxRequestBytes` for requests in chunks, which are never held as a whole; the same unless told. */
  readonly maxChunkedBytes?: number;
  /**
   * Resolves after so many milliseconds. With it, event streams send a tick at a constant rate, whether
   * or not something happened; without, only when it did.
   */
  readonly wait?: (milliseconds: number) => Promise<unknown>;
}
