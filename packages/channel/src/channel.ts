import { isVerified, type VerifiedPeer } from '@cloister/attestation';
import { type Bytes, concatBytes, joinPieces } from '@cloister/bytes';
import { type HpkePrimitives, type KemName, WEB_PRIMITIVES } from '@cloister/crypto';
import type { CallSigner } from './call/sign-call.ts';
import { ChannelError } from './channel-error.ts';
import { exchangeChunked } from './chunked-exchange.ts';
import { EVENT_STREAM_TYPE } from './media-types.ts';
import type { RecipientKey } from './ohttp/request-encryption.ts';
import { selectKey } from './recipient-key.ts';
import { type Attempt, type AttemptResult, exchangeWhole } from './request-exchange.ts';
import { follow, piecesOf, readAhead } from './wire/byte-stream.ts';
import { Scratch } from './wire/scratch.ts';
import { exchangeOver, type Fetch, type WireTransport } from './wire/wire-transport.ts';

/** 64 MiB of content, its fields, and padding. */
const MAX_ANSWER_BYTES = 76 * 1024 * 1024;
const DEFAULT_KEMS: readonly KemName[] = ['x-wing'];
const CHUNKED_ABOVE = 4 * 1024 * 1024;
/** By fetch a request is sent as one body in any case: chunks spare memory at the gateway only. */
const CHUNKED_ABOVE_BY_FETCH = 32 * 1024 * 1024;

/** What the client half of a channel needs. */
export interface ChannelOptions {
  /** Whom it was verified to speak to: never a bare URL (design 5). */
  readonly peer: VerifiedPeer;
  /** The gateway's URL: an address, not an identity. */
  readonly url: string;
  /** One with `exchange` spares copies, and can send and receive at constant memory. */
  readonly transport: Fetch | WireTransport;
  readonly now: () => Date;
  readonly random: (length: number) => Bytes;
  /** The KEMs that the manifest lists, the preferred one first; X-Wing alone unless given. */
  readonly kems?: readonly KemName[];
  /** How to prove to the service who calls (design 5). */
  readonly signCall?: CallSigner;
  /** Verifies the service again after it refused its key; called once, also for calls in parallel. */
  readonly onStaleKey?: () => Promise<VerifiedPeer>;
  /** How large an answer may be; event streams may go on for ever. */
  readonly maxAnswerBytes?: number;
  /**
   * Content longer than this is sent in chunks; unless told, 4 MiB by a transport with `exchange`, and
   * 32 MiB by fetch.
   */
  readonly chunkedAbove?: number;
  readonly primitives?: HpkePrimitives;
}

/** How one request is sent. */
export interface CallOptions {
  /**
   * The content, in the place of the request's body: bytes are not copied, and a stream is sent as it
   * comes, once, so that a stale key or a wrong clock fails the call.
   */
  readonly content?: Bytes | AsyncIterable<Bytes>;
  /** Whether it goes in chunks, and so the response comes as a stream. */
  readonly chunked?: boolean;
  /**
   * Whether it may have its effect twice; unless told, all methods but POST and PATCH. That a key is
   * stale nobody signs: a host may say so after the service has done what it was asked.
   */
  readonly repeatable?: boolean;
}

/** Methods that may do twice what is asked twice (RFC 9110, section 9.2.2). */
const ONCE: ReadonlySet<string> = new Set(['POST', 'PATCH']);

/** A fetch through a channel. */
export type ChannelFetch = (request: Request, options?: CallOptions) => Promise<Response>;

/**
 * A fetch whose requests only the verified service can read. The origin of a request's URL is ignored.
 * Every answer that it gives was encapsulated by that service for that request; else ChannelError. What
 * is long, or asks for an event stream, goes in chunks (draft-ietf-ohai-chunked-ohttp-08), never by
 * falling back from one way to the other. Where the service has another key now it is verified again,
 * once, and the request sent once more if it may be; else ChannelError `stale_key`, and the next call
 * goes to the new key.
 */
export function createChannel(options: ChannelOptions): ChannelFetch {
  const { now, onStaleKey, transport } = options;
  const ownLimit = 'exchange' in transport ? CHUNKED_ABOVE : CHUNKED_ABOVE_BY_FETCH;
  const { chunkedAbove = ownLimit } = options;
  const primitives = options.primitives ?? WEB_PRIMITIVES;
  const { service } = options.peer;
  const means = {
    service,
    url: options.url,
    exchange: exchangeOver(transport),
    random: options.random,
    signer: options.signCall,
    maxAnswerBytes: options.maxAnswerBytes ?? MAX_ANSWER_BYTES,
    scratch: new Scratch(),
  };
  let recipient = loadRecipient(options.peer);
  let renewal: Promise<VerifiedPeer> | undefined;
  /** What to add to the client's clock: learned from the service, and only for the Date field. */
  let clockOffset = 0;

  function loadRecipient(peer: VerifiedPeer): Promise<RecipientKey> {
    if (!isVerified(peer) || peer.service !== service) throw new ChannelError('peer_changed');
    const loaded = selectKey(peer, options.kems ?? DEFAULT_KEMS, primitives);
    // Awaited by the next call; without this, Node ends the process over a promise nobody looked at.
    loaded.catch(() => undefined);
    return loaded;
  }

  /** Verifies again, once for all calls that saw the same key refused. */
  async function renew(refused: Promise<RecipientKey>): Promise<void> {
    if (recipient !== refused) return;
    if (onStaleKey === undefined) throw new ChannelError('stale_key');
    renewal ??= onStaleKey().finally(() => {
      renewal = undefined;
    });
    const peer = await renewal;
    // Whoever waited for the same verification loads its result only once.
    if (recipient === refused) recipient = loadRecipient(peer);
  }

  function attempt(
    one: Attempt,
    content: Bytes | AsyncIterable<Bytes>,
    chunked: boolean | undefined,
  ): Promise<AttemptResult> {
    if (!(content instanceof Uint8Array)) return exchangeChunked(means, one, content);
    return (chunked ?? (content.length > chunkedAbove || wantsEvents(one.request)))
      ? exchangeChunked(means, one, content)
      : exchangeWhole(means, one, content);
  }

  /** What a signature covers must be there as a whole; else what is long enough stays a stream. */
  async function contentOf(request: Request): Promise<Bytes | AsyncIterable<Bytes>> {
    // Firefox has no `body` on requests.
    if (means.signer !== undefined || !request.body)
      return new Uint8Array(await request.arrayBuffer());
    const body = piecesOf(request.body);
    const { pieces, ended } = await readAhead(body, chunkedAbove);
    return ended ? joinPieces(pieces) : follow(pieces, body);
  }

  return async (request, { content: given, chunked, repeatable } = {}) => {
    const content = await wholeIfSigned(given ?? (await contentOf(request)));
    const isWhole = content instanceof Uint8Array;
    const mayRepeat = isWhole && (repeatable ?? !ONCE.has(request.method));
    let renewed = false;
    let corrected = false;
    for (;;) {
      const used = recipient;
      const date = new Date(now().getTime() + clockOffset);
      // oxlint-disable-next-line no-await-in-loop -- a second round only after a stale key or a wrong clock
      const result = await attempt({ request, key: await used, date }, content, chunked);
      if ('response' in result) return result.response;
      if (result.refused === 'stale_key') {
        if (renewed) throw new ChannelError('stale_key');
        renewed = true;
        // oxlint-disable-next-line no-await-in-loop -- as above
        await renew(used);
        if (!mayRepeat) throw new ChannelError('stale_key');
      } else {
        // The service's own word, from inside the encapsulation: it refused before anything happened.
        if (corrected) throw new ChannelError('clock_refused');
        corrected = true;
        clockOffset = result.gatewayTime - now().getTime();
        if (!isWhole) throw new ChannelError('clock_refused');
      }
    }
  };

  async function wholeIfSigned(
    content: Bytes | AsyncIterable<Bytes>,
  ): Promise<Bytes | AsyncIterable<Bytes>> {
    if (content instanceof Uint8Array || means.signer === undefined) return content;
    const pieces: Bytes[] = [];
    for await (const piece of content) pieces.push(piece);
    return concatBytes(...pieces);
  }
}

function wantsEvents(request: Request): boolean {
  const accepted = (request.headers.get('accept') ?? '').toLowerCase().split(',');
  return accepted.some((one) => one.split(';', 1)[0]?.trim() === EVENT_STREAM_TYPE);
}
