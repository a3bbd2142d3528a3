import { MalformedError } from '@cloister/bytes';

/** What a signature covers of a request: derived components and fields (RFC 9421 section 2). */
export interface SignedMessage {
  readonly method: string;
  /** Path and query as in the request target. */
  readonly target: string;
  readonly authority: string;
  /** The value of a field, several lines joined by a comma and a space; undefined where absent. */
  readonly field: (name: string) => string | undefined;
}

/**
 * The signature base of RFC 9421 section 2.5, for components without parameters. `parameters` is the
 * serialised value of `@signature-params`, exactly as in Signature-Input.
 */
export function signatureBase(
  message: SignedMessage,
  components: readonly string[],
  parameters: string,
): string {
  const lines = components.map((name) => `"${name}": ${componentValue(message, name)}`);
  return [...lines, `"@signature-params": ${parameters}`].join('\n');
}

function componentValue(message: SignedMessage, name: string): string {
  const query = message.target.indexOf('?');
  switch (name) {
    case '@method':
      return message.method;
    case '@authority':
      return message.authority.toLowerCase();
    case '@path':
      return (query < 0 ? message.target : message.target.slice(0, query)) || '/';
    case '@query':
      return query < 0 ? '?' : message.target.slice(query);
    default: {
      const value = name.startsWith('@') ? undefined : message.field(name);
      if (value === undefined) throw new MalformedError('bad_value', 'signed component');
      return value;
    }
  }
}
