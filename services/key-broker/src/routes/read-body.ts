import type { Context } from 'hono';
import * as v from 'valibot';
import { decodeBase64url, MalformedError, parseJson, type Bytes } from '@cloister/bytes';

const MAX_BODY = 4 << 20;

/** Base64url of so many bytes. */
export function base64urlField(min: number, max: number): v.GenericSchema<string, Bytes> {
  return v.pipe(
    v.string(),
    v.maxLength(Math.ceil((max * 4) / 3)),
    v.rawTransform(({ dataset, addIssue, NEVER }) => {
      try {
        const bytes = decodeBase64url(dataset.value);
        if (bytes.length >= min && bytes.length <= max) return bytes;
      } catch (error) {
        if (!(error instanceof MalformedError)) throw error;
      }
      addIssue();
      return NEVER;
    }),
  );
}

/** A nonce of the caller's own. */
export const nonceField = base64urlField(16, 64);
/** SHA-256, lower hex. */
export const digestField = v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/));
/** A count that JSON can carry. */
export const countField = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
/** A party, a service, a secret: as in the manifest. */
export const nameField = v.pipe(v.string(), v.regex(/^[a-z][a-z0-9-]{0,62}$/));
/** What each key of a party signed: compact JWS. */
export const statementsField = v.pipe(
  v.array(v.pipe(v.string(), v.regex(/^[\w.-]{1,65536}$/))),
  v.minLength(1),
  v.maxLength(16),
);

/** A request's JSON body by its schema; MalformedError names the member that is wrong. */
export async function readBody<Schema extends v.GenericSchema>(
  c: Context,
  schema: Schema,
): Promise<v.InferOutput<Schema>> {
  return readValue(parseJson(await c.req.text(), 'request', { maxLength: MAX_BODY }), schema);
}

/** A value by its schema; MalformedError names the member that is wrong. */
export function readValue<Schema extends v.GenericSchema>(
  value: unknown,
  schema: Schema,
): v.InferOutput<Schema> {
  const result = v.safeParse(schema, value);
  if (result.success) return result.output;
  const [issue] = result.issues;
  throw new MalformedError('bad_value', `request: ${v.getDotPath(issue) ?? 'body'}`);
}
