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
export { createChannel, type ChannelOptions, type Fetch } from './channel.ts';
export { ChannelError, type ChannelErrorCode } from './channel-error.ts';
export {
  createGateway,
  DATE_WINDOW,
  REQUEST_TYPE,
  RESPONSE_TYPE,
  type EncapsulationContext,
  type Gateway,
  type GatewayOptions,
} from './gateway.ts';
export {
  createChannelKeys,
  encodeKeyConfigs,
  exportChannelKeys,
  importChannelKeys,
  type ChannelKeys,
} from './ohttp/channel-keys.ts';
export { parseKeyConfigs, type KeyConfig } from './ohttp/key-config.ts';
export { paddedLength } from './padding.ts';
export { DATE_PROBLEM, KEY_PROBLEM } from './problem.ts';
export { createReplayMemory, type ReplayMemory } from './replay-memory.ts';
