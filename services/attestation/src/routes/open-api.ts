import type { Hono } from 'hono';
import type { JsonObject, JsonValue } from '@cloister/bytes';
import { API_VERSIONS } from '../api-version.ts';
import { azureJson } from '../azure-error.ts';
import { KIND_TRAITS, POLICY_TYPES, type AttestKind } from '../kinds.ts';
import { OPERATIONS } from '../paths.ts';

/** `GET /openapi.json`: what this service offers, in OpenAPI 3.1. */
export function openApiRoutes(app: Hono): void {
  const document = openApiDocument();
  app.get('/openapi.json', () => azureJson(document));
}

const JSON_TYPE = 'application/json';
const text: JsonObject = { type: 'string' };
const base64url: JsonObject = { type: 'string', contentEncoding: 'base64url' };
const ref = (name: string): JsonObject => ({ $ref: `#/components/schemas/${name}` });
const object = (properties: JsonObject, required: string[] = []): JsonObject => ({
  type: 'object',
  properties,
  ...(required.length === 0 ? {} : { required }),
});

/** The document. A test holds it to the routes, and the routes to it. */
export function openApiDocument(): JsonObject {
  const paths: JsonObject = {};
  for (const [path, methods] of OPERATIONS)
    paths[path] = Object.fromEntries(
      methods.map((method) => [method.toLowerCase(), operation(method, path)]),
    );
  return {
    openapi: '3.1.0',
    info: {
      title: 'Cloister attestation',
      version: '0.1.0',
      description: 'Azure Attestation’s contract; paths match in any case.',
    },
    paths,
    components: {
      schemas: schemas(),
      securitySchemes: { bearer: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT' } },
      parameters: {
        apiVersion: {
          name: 'api-version',
          in: 'query',
          required: true,
          schema: { type: 'string', enum: [...API_VERSIONS] },
        },
      },
    },
  };
}

interface Described {
  readonly summary: string;
  readonly tag: string;
  readonly answer?: JsonObject;
  readonly body?: JsonObject;
  readonly bodyType?: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly bearer?: boolean;
  /** Takes no `api-version`. */
  readonly plain?: boolean;
}

function operation(method: string, path: string): JsonObject {
  const described = describe(method, path);
  const { summary, tag, answer = object({}), bodyType = JSON_TYPE, body, query = {} } = described;
  const parameters: JsonValue[] =
    described.plain === true ? [] : [{ $ref: '#/components/parameters/apiVersion' }];
  for (const [name, description] of Object.entries(query))
    parameters.push({ name, in: 'query', description, schema: text });
  return {
    summary,
    tags: [tag],
    ...(parameters.length === 0 ? {} : { parameters }),
    ...(body === undefined
      ? {}
      : { requestBody: { required: true, content: { [bodyType]: { schema: body } } } }),
    responses: {
      '200': { description: 'Done', content: { [JSON_TYPE]: { schema: answer } } },
      ...(described.plain === true
        ? {}
        : {
            '400': failure('Refused: the code says why'),
            ...(described.bearer === true ? { '401': failure('No bearer with the role') } : {}),
            '413': failure('The body is larger than 1 MiB'),
            '429': failure('Too many requests from this address'),
          }),
    },
    ...(described.bearer === true ? { security: [{ bearer: [] }] } : {}),
  };
}

function failure(description: string): JsonObject {
  return { description, content: { [JSON_TYPE]: { schema: ref('CloudError') } } };
}

function describe(method: string, path: string): Described {
  const [, room = '', name = ''] = path.split(/[/]/);
  if (room === 'attest') return describeAttest(name);
  if (room === 'policies') return describePolicy(method, name);
  if (room === 'tcbbaselines')
    return {
      tag: 'policy',
      summary: `The TCB baselines that a policy for ${name} may name`,
      answer: object({ tcbBaselines: { type: 'array', items: object({}) } }, ['tcbBaselines']),
    };
  if (room === 'collateral') return describeCollateral(name);
  return OTHERS[path] ?? { tag: 'other', summary: path };
}

function describeAttest(kind: string): Described {
  const traits = Object.entries(KIND_TRAITS).find(([one]) => one === kind)?.[1];
  if (traits === undefined)
    return { tag: 'attestation', summary: `${kind}: refused, and why`, body: object({}) };
  return {
    tag: 'attestation',
    summary: `Attests ${kind} evidence`,
    body: ref(`Attest${kind}Request`),
    answer: ref('TokenResponse'),
  };
}

function describePolicy(method: string, name: string): Described {
  const common = { tag: 'policy', answer: ref('TokenResponse'), bearer: true };
  const jws = { body: text, bodyType: 'text/plain' };
  if (name.endsWith(':reset'))
    return { ...common, ...jws, summary: `Takes the policy for ${name.slice(0, -6)} out of force` };
  return method === 'GET'
    ? { ...common, summary: `The policy JWS for ${name}` }
    : { ...common, ...jws, summary: `Puts a policy for ${name} in force` };
}

function describeCollateral(name: string): Described {
  const query: Record<string, string> =
    name === 'snp'
      ? { product: 'Milan, Genoa or Turin', chip: 'CHIP_ID, hex', tcb: 'SVNs of REPORTED_TCB' }
      : { fmspc: '12 hex digits', ca: 'processor or platform' };
  return {
    tag: 'collateral',
    summary: `Endorsements for a ${name} platform`,
    query,
    plain: true,
  };
}

const certificateBody: JsonObject = {
  oneOf: [text, object({ policyCertificateToAdd: text, policyCertificateToRemove: text })],
};
const OTHERS: Readonly<Record<string, Described>> = {
  '/certificates': {
    tag: 'policy',
    summary: 'The certificates that may sign policies',
    answer: ref('TokenResponse'),
    bearer: true,
  },
  '/certificates:add': {
    tag: 'policy',
    summary: 'Adds a certificate that may sign policies',
    body: certificateBody,
    answer: ref('TokenResponse'),
    bearer: true,
  },
  '/certificates:remove': {
    tag: 'policy',
    summary: 'Takes such a certificate away',
    body: certificateBody,
    answer: ref('TokenResponse'),
    bearer: true,
  },
  '/certs': {
    tag: 'keys',
    summary: 'The keys that verify tokens',
    answer: object({ keys: { type: 'array', items: ref('JsonWebKey') } }, ['keys']),
    plain: true,
  },
  '/.well-known/openid-configuration': { tag: 'keys', summary: 'OpenID metadata', plain: true },
  '/keys:rotate': { tag: 'keys', summary: 'Makes the next signing key', bearer: true },
  '/audit': {
    tag: 'policy',
    summary: 'What was managed, by whom',
    query: { after: 'a position' },
    bearer: true,
  },
  '/explain': {
    tag: 'attestation',
    summary: 'Every check, rule and claim of an attestation, and no token',
    body: object({ attestationType: text }, ['attestationType']),
    bearer: true,
  },
  '/openapi.json': { tag: 'other', summary: 'This document', plain: true },
};

function schemas(): JsonObject {
  const requests = Object.keys(KIND_TRAITS).map((kind): [string, JsonObject] => {
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- a key of that object
    const { member, draft } = KIND_TRAITS[kind as AttestKind];
    const members: JsonObject = {
      [member]: base64url,
      runtimeData: ref('AttestedData'),
      initTimeData: ref('AttestedData'),
      ...(draft ? { draftPolicyForAttestation: text } : {}),
      nonce: { type: ['string', 'integer'] },
    };
    return [`Attest${kind}Request`, object(members, [member])];
  });
  return {
    ...Object.fromEntries(requests),
    AttestedData: object(
      { data: base64url, dataType: { type: 'string', enum: ['Binary', 'JSON'] } },
      ['data', 'dataType'],
    ),
    TokenResponse: object({ token: text }, ['token']),
    JsonWebKey: object({ kid: text, kty: text, x5c: { type: 'array', items: text } }, [
      'kid',
      'kty',
    ]),
    CloudError: object(
      { error: object({ code: text, message: text, innererror: object({}) }, ['code', 'message']) },
      ['error'],
    ),
    PolicyType: { type: 'string', enum: [...POLICY_TYPES] },
  };
}
