export {
  decodeMessage,
  type DecodedMessage,
  type OmittedSection,
} from './binary-http/decode-message.ts';
export { encodeMessage } from './binary-http/encode-message.ts';
export type {
  BinaryMessage,
  BinaryRequest,
  BinaryResponse,
  Field,
  InformationalResponse,
} from './binary-http/message.ts';
export { CALL_COMPONENTS, CALL_TAG, type CallSigner } from './call/sign-call.ts';
export { verifyCall, type CallCode } from './call/verify-call.ts';
export {
  createChannel,
  type CallOptions,
  type ChannelFetch,
  type ChannelOptions,
} from './channel.ts';
export { ChannelError, type ChannelErrorCode } from './channel-error.ts';
export { TICK_MS, TICK_SIZE } from './event-ticks.ts';
export { EventStreamError } from './event-stream-error.ts';
export { createGateway } from './gateway.ts';
export {
  DATE_WINDOW,
  type EncapsulationContext,
  type Gateway,
  type GatewayOptions,
} from './gateway-options.ts';
export {
  CHUNKED_REQUEST_TYPE,
  CHUNKED_RESPONSE_TYPE,
  REQUEST_TYPE,
  RESPONSE_TYPE,
} from './media-types.ts';
export {
  createChannelKeys,
  deriveChannelKeys,
  encodeKeyConfigs,
  exportChannelKeys,
  importChannelKeys,
  type ChannelKeys,
} from './ohttp/channel-keys.ts';
export { parseKeyConfigs, type KeyConfig } from './ohttp/key-config.ts';
export { paddedLength } from './padding.ts';
export { DATE_PROBLEM, KEY_PROBLEM } from './problem.ts';
export { createReplayMemory, type ReplayMemory } from './replay-memory.ts';
export { lendBody } from './wire/lent-body.ts';
export type { Fetch, WireAnswer, WireCall, WireTransport } from './wire/wire-transport.ts';
