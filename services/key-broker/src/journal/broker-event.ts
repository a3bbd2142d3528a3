import * as v from 'valibot';
import {
  canonicalJson,
  decodeUtf8,
  encodeUtf8,
  MalformedError,
  parseJson,
  type Bytes,
  type JsonObject,
} from '@cloister/bytes';

const hex = (bytes: number) => v.pipe(v.string(), v.regex(new RegExp(`^[0-9a-f]{${bytes * 2}}$`)));
const name = v.pipe(v.string(), v.regex(/^[a-z][a-z0-9-]{0,62}$/));
const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const thumbprint = v.pipe(v.string(), v.regex(/^[\w-]{43}$/));
const code = v.pipe(v.string(), v.regex(/^[\w.: -]{1,200}$/));
const machine = v.pipe(v.string(), v.regex(/^(?:[0-9a-f]{2}){8,64}$/));
const retires = v.array(v.strictObject({ version: count, until: count }));

/**
 * All that ever happens in a broker, as it stands in its audit log: the state is what these events
 * make of it, so that nothing can be changed without a trace. No secrets, no patients.
 */
const EVENTS = {
  initialised: { party: name, brokerKey: thumbprint },
  'manifest-activated': { id: hex(32), serial: count, signers: v.array(name) },
  'secret-created': {
    name,
    version: count,
    /** SHA-256 of the sealed value. */
    digest: hex(32),
    from: count,
    reason: v.picklist(['first', 'rotation', 'narrowed', 'requested', 'imported']),
    retires,
    /** How an imported key is to be wrapped: `oct` bytes, or PKCS #8 of the others. */
    kty: v.optional(v.picklist(['oct', 'RSA', 'EC'])),
    /** SHA-256 of the release policy that came with it (Azure's grammar). */
    policy: v.optional(hex(32)),
  },
  'secret-destroyed': { name, version: count },
  'secret-stale': { name, service: name },
  'secret-released': {
    name,
    version: count,
    service: name,
    via: v.picklist(['lease', 'rcar', 'vault']),
    lease: v.optional(hex(16)),
    epoch: v.optional(count),
    exp: v.optional(count),
    evidence: v.optional(hex(32)),
    simulated: v.boolean(),
    manifest: hex(32),
  },
  'counter-advanced': { name, value: count, digest: hex(32), service: name },
  'counter-reset': {
    name,
    from: count,
    value: count,
    digest: hex(32),
    signers: v.array(thumbprint),
    reason: code,
  },
  'authority-created': {
    generation: count,
    /** SHA-256 of the sealed key. */
    digest: hex(32),
    /** SHA-256 of the certificate. */
    certificate: hex(32),
    exp: count,
    reason: v.picklist(['first', 'aged', 'narrowed']),
    /** Until when the one before is still published; absent: from now on it is not. */
    overlap: v.optional(count),
  },
  'certificate-issued': {
    service: name,
    serial: hex(16),
    /** SHA-256 of the certificate, and of its public key. */
    certificate: hex(32),
    key: hex(32),
    generation: count,
    exp: count,
    evidence: hex(32),
    simulated: v.boolean(),
    manifest: hex(32),
  },
  'recovery-set': { k: count, n: count, set: hex(32), signers: v.array(thumbprint) },
  recovered: { set: hex(32) },
  /** The party admits a machine for replicas of this broker, or drops it. */
  'machine-admitted': { machine, admitted: v.boolean(), signers: v.array(thumbprint) },
  /** The key that seals the state was given to a replica, which opened its state with it. */
  'replica-unsealed': { machine, evidence: hex(32), simulated: v.boolean(), manifest: hex(32) },
  unsealed: { by: v.picklist(['replica']), manifest: hex(32) },
  'witness-overridden': {
    abandoned: v.nullable(v.strictObject({ logSize: count, logRoot: hex(32) })),
    signers: v.array(thumbprint),
    reason: code,
  },
} as const;

type Fields<E extends v.ObjectEntries> = v.InferOutput<v.StrictObjectSchema<E, undefined>>;

/** One event, without its time. */
export type BrokerEvent = {
  [Name in keyof typeof EVENTS]: { readonly event: Name } & Readonly<Fields<(typeof EVENTS)[Name]>>;
}[keyof typeof EVENTS];

/** An event of the log, with the second in which it happened. */
export type LoggedEvent = BrokerEvent & { readonly at: number };

const SCHEMAS = new Map<string, v.GenericSchema>(
  Object.entries(EVENTS).map(([event, fields]) => [
    event,
    v.strictObject({ event: v.literal(event), at: count, ...fields }),
  ]),
);

/** The leaf of the audit log: canonical JSON. */
export function encodeEvent(event: LoggedEvent): Bytes {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the schemas describe JSON
  return encodeUtf8(canonicalJson(withoutAbsent(event) as JsonObject));
}

/** Reads a leaf strictly; MalformedError where it is no event of ours. */
export function parseEvent(bytes: Uint8Array): LoggedEvent {
  const json = parseJson(decodeUtf8(bytes, 'log entry'), 'log entry');
  const event = typeof json === 'object' && json !== null && 'event' in json ? json['event'] : '';
  const schema = typeof event === 'string' ? SCHEMAS.get(event) : undefined;
  if (schema === undefined || !v.is(schema, json))
    throw new MalformedError('bad_value', 'log entry');
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the schema has just said so
  return json as unknown as LoggedEvent;
}

function withoutAbsent(event: object): object {
  return Object.fromEntries(Object.entries(event).filter(([, value]) => value !== undefined));
}
