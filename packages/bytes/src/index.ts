export { decodeBase64, decodeBase64url, encodeBase64, encodeBase64url } from './base64.ts';
export {
  asBytes,
  concatBytes,
  copyBytes,
  equalBytes,
  isZero,
  joinPieces,
  type Bytes,
} from './bytes.ts';
export {
  DER,
  DerReader,
  encodeDer,
  encodeDerInteger,
  encodeDerOid,
  type DerElement,
} from './der.ts';
export { decodeHex, encodeHex } from './hex.ts';
export {
  canonicalJson,
  isJsonObject,
  parseJson,
  parseJsonObject,
  sliceJsonMember,
  type JsonLimits,
  type JsonObject,
  type JsonValue,
} from './json.ts';
export { MalformedError, type MalformedCode } from './malformed-error.ts';
export { decodePem, encodePem } from './pem.ts';
export { Reader } from './reader.ts';
export { decodeUtf8, encodeUtf8 } from './text.ts';
export { Writer } from './writer.ts';
