import { decodeUtf8, isJsonObject, type JsonObject, parseJsonObject } from '@cloister/bytes';
import { validateFhir } from '@cloister/clinical';
import { RefusedError } from '../refused-error.ts';

/** The media type of everything that the FHIR interface says. */
export const FHIR_JSON = 'application/fhir+json; charset=utf-8';
const MAX_RESOURCE = 1 << 20;

/** A resource as an answer, with its ETag and time of change (FHIR R4, http 3.1.0.2). */
export function fhirAnswer(
  resource: JsonObject,
  status = 200,
  headers: Readonly<Record<string, string>> = {},
): Response {
  const meta = isJsonObject(resource['meta']) ? resource['meta'] : {};
  const { versionId, lastUpdated } = meta;
  return new Response(JSON.stringify(resource), {
    status,
    headers: {
      ...headers,
      'content-type': FHIR_JSON,
      'cache-control': 'no-store',
      ...(typeof versionId === 'string' ? { etag: `W/"${versionId}"` } : {}),
      ...(typeof lastUpdated === 'string'
        ? { 'last-modified': new Date(lastUpdated).toUTCString() }
        : {}),
    },
  });
}

/**
 * The resource that a request sends, validated. Its id, version and time are the server's to say:
 * on a create they are replaced, whatever was sent.
 */
export async function readResource(request: Request, type: string): Promise<JsonObject> {
  const mediaType = request.headers.get('content-type')?.split(';')[0]?.trim().toLowerCase();
  if (mediaType !== 'application/fhir+json' && mediaType !== 'application/json')
    throw new RefusedError('unsupported_media_type', 'application/fhir+json is needed');
  const bytes = new Uint8Array(await request.arrayBuffer());
  if (bytes.length > MAX_RESOURCE) throw new RefusedError('too_large', 'at most 1 MiB');
  const given = parseJsonObject(decodeUtf8(bytes, 'resource'), 'resource');
  if (given['resourceType'] !== type)
    throw new RefusedError('bad_request', 'the resourceType is not that of the URL');
  const issues = validateFhir(given);
  if (issues.length > 0)
    throw new RefusedError('invalid_resource', undefined, {
      complaints: issues.slice(0, 50).map(({ code, expression, details }) => ({
        code,
        text: details,
        ...(expression === undefined ? {} : { expression: safeExpression(expression) }),
      })),
    });
  const { meta, ...rest } = given;
  const { versionId: _v, lastUpdated: _l, ...kept } = isJsonObject(meta) ? meta : {};
  return Object.keys(kept).length === 0 ? rest : { ...rest, meta: kept };
}

/**
 * A FHIRPath that can name elements only: where an unknown member was sent, its name is what the
 * caller typed, and stays out of the answer.
 */
function safeExpression(expression: string): string {
  const known = /^[A-Za-z][A-Za-z0-9]*(?:\.[a-z_][A-Za-z]{0,40}(?:\[\d{1,6}\])?)*$/;
  return known.test(expression) ? expression : (expression.split('.')[0] ?? '');
}
