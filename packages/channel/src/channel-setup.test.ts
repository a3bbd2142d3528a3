// Both halves of a channel, with a transport between them that tests can look into and change.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import type { VerifiedPeer } from '@cloister/attestation';
import { asBytes, type Bytes, concatBytes } from '@cloister/bytes';
import type { KemName } from '@cloister/crypto';
// The package does not export what makes peers verified; tests stand in for the verifier here.
import { markVerified } from '../../attestation/src/peer/verified-peer.ts';
import { decodeMessage } from './binary-http/decode-message.ts';
import { encodeMessage } from './binary-http/encode-message.ts';
import { type ChannelFetch, type ChannelOptions, createChannel } from './channel.ts';
import { createGateway } from './gateway.ts';
import type { EncapsulationContext, GatewayOptions } from './gateway-options.ts';
import {
  type ChannelKeys,
  createChannelKeys,
  createSuites,
  encodeKeyConfigs,
} from './ohttp/channel-keys.ts';
import { sealRequest, setupRequest } from './ohttp/request-encryption.ts';
import { openResponse } from './ohttp/response-encryption.ts';

export const NOW = Date.UTC(2026, 10, 24, 12, 0, 0);
export const URL_OF_GATEWAY = 'https://host.example/.well-known/ohttp-gateway';
export const random = (length: number): Bytes => asBytes(new Uint8Array(randomBytes(length)));

export function peerWith(ohttp: Bytes, service = 'records'): VerifiedPeer {
  const peer: Omit<VerifiedPeer, never> = {
    service,
    manifestId: '00',
    simulated: true,
    tee: 'sgx',
    sig: { kty: 'EC' },
    enc: { kty: 'RSA' },
    ohttp,
    models: [],
    evidenceDigest: '00',
    verifiedAt: new Date(NOW),
  } as unknown as VerifiedPeer;
  return markVerified(peer);
}

interface Setup {
  readonly keys: ChannelKeys;
  readonly fetch: ChannelFetch;
  readonly contexts: EncapsulationContext[];
  readonly outer: { request: Bytes; response: Response }[];
  readonly gateway: ReturnType<typeof createGateway>;
}

export async function setup(
  options: {
    readonly kem?: KemName;
    readonly app?: (request: Request) => Promise<Response> | Response;
    readonly gateway?: Partial<GatewayOptions>;
    readonly channel?: Partial<ChannelOptions>;
    readonly tamper?: (response: Response, n: number) => Promise<Response> | Response;
  } = {},
): Promise<Setup> {
  const { kem = 'x-wing', app = echo, tamper = (response) => response } = options;
  const keys = await createChannelKeys({ kem, keyId: 5 });
  const contexts: EncapsulationContext[] = [];
  const outer: { request: Bytes; response: Response }[] = [];
  const gateway = createGateway({
    keys: () => [keys],
    now: () => new Date(NOW),
    fetch: (request, context) => {
      contexts.push(context);
      return app(request);
    },
    ...options.gateway,
  });
  const fetch = createChannel({
    peer: peerWith(encodeKeyConfigs(keys)),
    url: URL_OF_GATEWAY,
    transport: async (request) => {
      const bytes = new Uint8Array(await request.clone().arrayBuffer());
      const response = await gateway.handle(request);
      outer.push({ request: bytes, response: response.clone() });
      return tamper(response, outer.length);
    },
    now: () => new Date(NOW),
    random,
    kems: [kem],
    ...options.channel,
  });
  return { keys, fetch, contexts, outer, gateway };
}

export async function echo(request: Request): Promise<Response> {
  return new Response(await request.arrayBuffer(), {
    status: 201,
    headers: {
      'x-method': request.method,
      'x-url': request.url,
      'x-header': request.headers.get('x-header') ?? '',
    },
  });
}

export const post = (body: Bytes | string): Request =>
  new Request('https://ignored.example/fhir/Patient?name=a%20b', {
    method: 'POST',
    body,
    headers: { 'x-header': 'value' },
  });

export const outerPost = (body: Bytes, headers: Record<string, string> = {}) =>
  new Request(URL_OF_GATEWAY, {
    method: 'POST',
    body,
    headers: { 'content-type': 'message/ohttp-req', ...headers },
  });

/** Sends an inner message of one's own making, and opens the answer. */
export async function sendRaw({ keys, gateway }: Setup, plaintext: Bytes) {
  const hpke = createSuites(keys.config.kem).get('aes-256-gcm') ?? assert.fail();
  const publicKey = await hpke.deserializePublicKey(keys.config.publicKey);
  const recipient = { keyId: 5, hpke, publicKey, config: keys.config.bytes };
  const sender = await setupRequest(recipient, 'whole');
  const sealed = concatBytes(...(await sealRequest(sender, [plaintext])));
  const outside = await gateway.handle(outerPost(sealed));
  const body = new Uint8Array(await outside.arrayBuffer());
  const { message } = decodeMessage(await openResponse(sender, [body]));
  assert.ok(message.kind === 'response');
  const text = new TextDecoder().decode(message.content);
  return { outside, message, text, sealed };
}

export const rawRequest = (headers: readonly (readonly [string, string])[], path = '/x') =>
  encodeMessage({
    kind: 'request',
    method: 'GET',
    scheme: 'https',
    authority: 'records',
    path,
    headers,
    content: new Uint8Array(),
    trailers: [],
  });
export const dateField = (offset: number) =>
  ['date', new Date(NOW + offset).toUTCString()] as const;
