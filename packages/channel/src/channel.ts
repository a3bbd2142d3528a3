import { isVerified, type VerifiedPeer } from '@cloister/attestation';
import {
  type Bytes,
  concatBytes,
  MalformedError,
  parseJsonObject,
  decodeUtf8,
} from '@cloister/bytes';
import { HpkeError, type HpkePrimitives, type KemName, WEB_PRIMITIVES } from '@cloister/crypto';
import { decodeMessage } from './binary-http/decode-message.ts';
import { encodeMessage } from './binary-http/encode-message.ts';
import { fieldsOf, requestMessage, toResponse } from './binary-http/fetch-message.ts';
import type { BinaryResponse, Field } from './binary-http/message.ts';
import { type CallSigner, signCall } from './call/sign-call.ts';
import { ChannelError } from './channel-error.ts';
import { mediaTypeOf, REQUEST_TYPE, RESPONSE_TYPE } from './gateway.ts';
import { createSuites } from './ohttp/channel-keys.ts';
import { parseKeyConfigs } from './ohttp/key-config.ts';
import { type RecipientKey, setupRequest } from './ohttp/request-encryption.ts';
import { openResponse } from './ohttp/response-encryption.ts';
import { paddedLength } from './padding.ts';
import { DATE_PROBLEM, KEY_PROBLEM, PROBLEM_TYPE } from './problem.ts';
import { discardBody, readBody } from './read-body.ts';

/** Sends one request and gives its response: `fetch`, a service's HTTP client, or a channel. */
export type Fetch = (request: Request) => Promise<Response>;

/** 64 MiB of content, its fields, and padding. */
const MAX_ANSWER_BYTES = 76 * 1024 * 1024;
const MAX_PROBLEM_BYTES = 16_384;
const DEFAULT_KEMS: readonly KemName[] = ['x-wing'];

/** What the client half of a channel needs. */
export interface ChannelOptions {
  /** Whom it was verified to speak to: never a bare URL (design 5). */
  readonly peer: VerifiedPeer;
  /** The gateway's URL: an address, not an identity. */
  readonly url: string;
  readonly transport: Fetch;
  readonly now: () => Date;
  readonly random: (length: number) => Bytes;
  /** The KEMs that the manifest lists, the preferred one first; X-Wing alone unless given. */
  readonly kems?: readonly KemName[];
  /** How to prove to the service who calls (design 5). */
  readonly signCall?: CallSigner;
  /** Verifies the service again after it refused its key; called once, also for calls in parallel. */
  readonly onStaleKey?: () => Promise<VerifiedPeer>;
  readonly maxAnswerBytes?: number;
  readonly primitives?: HpkePrimitives;
}

/**
 * A fetch whose requests only the verified service can read. The origin of a request's URL is ignored.
 * Every answer that it gives was encapsulated by that service for that request; else ChannelError.
 */
export function createChannel(options: ChannelOptions): Fetch {
  const { now, onStaleKey, maxAnswerBytes = MAX_ANSWER_BYTES } = options;
  const primitives = options.primitives ?? WEB_PRIMITIVES;
  const { service } = options.peer;
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

  async function exchange(
    request: Request,
    content: Bytes,
    key: RecipientKey,
  ): Promise<BinaryResponse | 'stale_key'> {
    const sender = await guardKey(() => setupRequest(key));
    const { enc } = sender;
    const date = new Date(now().getTime() + clockOffset);
    const fields = fieldsOf(request.headers).filter(([name]) => name !== 'date');
    fields.push(['date', date.toUTCString()]);
    const headers: readonly Field[] =
      options.signCall === undefined
        ? fields
        : await signCall(request, content, fields, {
            signer: options.signCall,
            binding: await primitives.sha256(concatBytes(enc, key.config)),
            created: date,
            random: options.random,
          });
    const message = requestMessage(request, service, content, headers);
    const body = concatBytes(...(await sender.seal([encodeMessage(message, paddedLength)])));
    const answer = await send(body, request.signal);
    if (await isKeyProblem(answer)) return 'stale_key';
    const encapsulated = await readAnswer(answer, maxAnswerBytes);
    let plaintext: Bytes;
    try {
      plaintext = await openResponse(key.hpke, sender.context, enc, encapsulated);
    } catch (cause) {
      throw new ChannelError('open_failed', { cause });
    }
    return decodeResponse(plaintext);
  }

  async function send(body: Bytes, signal: AbortSignal): Promise<Response> {
    const outer = new Request(options.url, {
      method: 'POST',
      headers: { 'content-type': REQUEST_TYPE, accept: RESPONSE_TYPE },
      body,
      signal,
      redirect: 'error',
      cache: 'no-store',
      credentials: 'omit',
      referrerPolicy: 'no-referrer',
    });
    try {
      return await options.transport(outer);
    } catch (cause) {
      signal.throwIfAborted();
      throw new ChannelError('transport_failed', { cause });
    }
  }

  return async (request) => {
    // Not its `body`: Firefox has none on requests.
    const content = new Uint8Array(await request.arrayBuffer());
    let renewed = false;
    let corrected = false;
    for (;;) {
      const used = recipient;
      // oxlint-disable-next-line no-await-in-loop -- a second round only after a stale key or a wrong clock
      const answer = await exchange(request, content, await used);
      if (answer === 'stale_key') {
        if (renewed) throw new ChannelError('stale_key');
        renewed = true;
        // oxlint-disable-next-line no-await-in-loop -- as above
        await renew(used);
        continue;
      }
      const gatewayTime = refusedClock(answer);
      if (gatewayTime === undefined) return toResponse(answer);
      // The service's own word, from inside the encapsulation: it refused before anything happened.
      if (corrected) throw new ChannelError('clock_refused');
      corrected = true;
      clockOffset = gatewayTime - now().getTime();
    }
  };
}

/** The first key of the peer whose KEM is allowed, by the order of what is allowed. */
async function selectKey(
  peer: VerifiedPeer,
  kems: readonly KemName[],
  primitives: HpkePrimitives,
): Promise<RecipientKey> {
  const { ohttp = new Uint8Array() } = peer;
  const configs = await guardKey(() => parseKeyConfigs(ohttp));
  for (const kem of kems) {
    const config = configs.find((candidate) => candidate.kem === kem);
    const aead = config?.aeads[0];
    const hpke = aead === undefined ? undefined : createSuites(kem, primitives).get(aead);
    if (config === undefined || hpke === undefined) continue;
    // oxlint-disable-next-line no-await-in-loop -- returns: nothing else is ever awaited
    const publicKey = await guardKey(() => hpke.deserializePublicKey(config.publicKey));
    return { keyId: config.keyId, hpke, publicKey, config: config.bytes };
  }
  throw new ChannelError('no_suite');
}

/** A key that cannot be used is as good as none. */
async function guardKey<T>(step: () => T | Promise<T>): Promise<T> {
  try {
    return await step();
  } catch (cause) {
    if (!(cause instanceof HpkeError || cause instanceof MalformedError)) throw cause;
    throw new ChannelError('no_suite', { cause });
  }
}

/** Whether a plain answer says that the key is stale: 400 by the RFC's example, 422 elsewhere. */
async function isKeyProblem(answer: Response): Promise<boolean> {
  if (answer.status !== 400 && answer.status !== 422) return false;
  if (mediaTypeOf(answer) !== PROBLEM_TYPE) return false;
  const body = await readOrFail(answer, MAX_PROBLEM_BYTES);
  if (body === undefined) return false;
  try {
    return parseJsonObject(decodeUtf8(body))['type'] === KEY_PROBLEM;
  } catch (error) {
    if (error instanceof MalformedError) return false;
    throw error;
  }
}

async function readAnswer(answer: Response, limit: number): Promise<Bytes> {
  const { status } = answer;
  if (status !== 200 || mediaTypeOf(answer) !== RESPONSE_TYPE) {
    // Already read where it looked like a problem; else what it says is of no interest.
    if (!answer.bodyUsed) discardBody(answer);
    throw new ChannelError('not_encapsulated', { status });
  }
  const body = await readOrFail(answer, limit);
  if (body === undefined) throw new ChannelError('answer_too_large');
  return body;
}

async function readOrFail(answer: Response, limit: number): Promise<Bytes | undefined> {
  try {
    return await readBody(answer, limit);
  } catch (cause) {
    throw new ChannelError('transport_failed', { cause });
  }
}

function decodeResponse(plaintext: Bytes): BinaryResponse {
  try {
    const { message } = decodeMessage(plaintext);
    if (message.kind === 'response') return message;
  } catch (cause) {
    if (!(cause instanceof MalformedError)) throw cause;
    throw new ChannelError('malformed_answer', { cause });
  }
  throw new ChannelError('malformed_answer');
}

/** The gateway's time where it refused the Date of the request (RFC 9458 section 6.5.2). */
function refusedClock({ status, headers, content }: BinaryResponse): number | undefined {
  const field = (wanted: string) => headers.find(([name]) => name === wanted)?.[1];
  if (status !== 400 || field('content-type') !== PROBLEM_TYPE) return undefined;
  try {
    if (parseJsonObject(decodeUtf8(content))['type'] !== DATE_PROBLEM) return undefined;
  } catch (error) {
    if (error instanceof MalformedError) return undefined;
    throw error;
  }
  const time = Date.parse(field('date') ?? '');
  return Number.isNaN(time) ? undefined : time;
}
