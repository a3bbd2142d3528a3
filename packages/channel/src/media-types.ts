/** Media type of an encapsulated request (RFC 9458 section 9.2). */
export const REQUEST_TYPE = 'message/ohttp-req';
/** Media type of an encapsulated response (RFC 9458 section 9.3). */
export const RESPONSE_TYPE = 'message/ohttp-res';
/** Media type of a request in chunks (draft-ietf-ohai-chunked-ohttp-08 section 9.1). */
export const CHUNKED_REQUEST_TYPE = 'message/ohttp-chunked-req';
/** Media type of a response in chunks (draft-ietf-ohai-chunked-ohttp-08 section 9.2). */
export const CHUNKED_RESPONSE_TYPE = 'message/ohttp-chunked-res';
/** Media type of a stream of server-sent events (HTML section 9.2). */
export const EVENT_STREAM_TYPE = 'text/event-stream';

/** The media type of a message without its parameters, lower case. */
export function mediaTypeOf({ headers }: { readonly headers: Headers }): string {
  return (headers.get('content-type') ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? '';
}
