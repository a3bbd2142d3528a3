import type { Hono } from 'hono';
import * as v from 'valibot';
import { decodeBase64url, encodeBase64url, type JsonValue } from '@cloister/bytes';
import type { PartyPurpose } from '@cloister/client';
import { parseJwk } from '@cloister/crypto';
import { BrokerError } from '../broker-error.ts';
import type { Broker } from '../broker.ts';
import type { Counters } from '../counters.ts';
import type { Recovery } from '../recovery/recovery.ts';
import type { Replicas } from '../recovery/replicas.ts';
import type { PartySecrets } from '../release/party-secrets.ts';
import type { NonceMemory } from '../trust/nonce-memory.ts';
import { verifyPartyStatement } from '../trust/party-statement.ts';
import {
  base64urlField,
  countField,
  digestField,
  nameField,
  readBody,
  readValue,
  statementsField,
} from './read-body.ts';
import type { InnerEnv } from './service-calls.ts';

/** What the calls of the broker's own party need. */
export interface PartyCallDeps {
  readonly broker: Broker;
  /** Those that statements of the party are made over: good for a day. */
  readonly partyNonces: NonceMemory;
  readonly secrets: PartySecrets;
  readonly counters: Counters;
  readonly recovery: Recovery;
  readonly replicas: Replicas;
}

/** Most bytes of a secret that is imported. */
const MAX_SECRET = 1 << 16;

const said = {
  purpose: v.string(),
  party: nameField,
  manifest: digestField,
  nonce: v.pipe(v.string(), v.regex(/^[\w-]{22,86}$/)),
};
const reason = v.pipe(v.string(), v.regex(/^[\w.: -]{1,200}$/));
const headOf = { logSize: countField, logRoot: digestField };
const importSaid = v.strictObject({ ...said, name: nameField, digest: digestField });
const rotateSaid = v.strictObject({ ...said, name: nameField });
const destroySaid = v.strictObject({
  ...said,
  name: nameField,
  version: v.pipe(v.number(), v.safeInteger(), v.minValue(1)),
});
const machineSaid = v.strictObject({
  ...said,
  machine: v.pipe(v.string(), v.regex(/^(?:[0-9a-f]{2}){8,64}$/)),
  admitted: v.boolean(),
});
const recoverySaid = v.strictObject({
  ...said,
  k: v.pipe(v.number(), v.integer(), v.minValue(2), v.maxValue(255)),
  recipients: v.pipe(v.array(v.custom<JsonValue>(() => true)), v.minLength(2), v.maxLength(255)),
});
const resetSaid = v.strictObject({
  ...said,
  name: nameField,
  from: countField,
  value: countField,
  digest: digestField,
  reason,
});
const overrideSaid = v.strictObject({
  ...said,
  abandoned: v.nullable(v.strictObject(headOf)),
  ...headOf,
  reason,
});
const statementsBody = v.strictObject({ statements: statementsField });
const importBody = v.strictObject({
  statements: statementsField,
  value: base64urlField(1, MAX_SECRET),
});
const shareBody = v.strictObject({ share: v.custom<JsonValue>(() => true) });

/**
 * What the broker's own party does inside the channel: each act is a statement that more than half of
 * the party's keys signed, over a nonce of this broker (`POST /v1/challenge/party`), used once.
 */
export function partyCallRoutes(app: Hono<InnerEnv>, deps: PartyCallDeps): void {
  const { broker, partyNonces, secrets, counters, recovery, replicas } = deps;
  const hear = async (statements: readonly string[], purpose: PartyPurpose) => {
    const manifest = broker.requireTrust();
    const statement = await verifyPartyStatement(statements, {
      purpose,
      party: broker.party,
      manifest,
    });
    const { nonce } = statement.payload;
    if (typeof nonce !== 'string' || !partyNonces.take(decodeBase64url(nonce, 'nonce')))
      throw new BrokerError('nonce_unknown');
    return statement;
  };

  // In every state in which the party may have something to say: also behind a witness.
  app.post('/v1/challenge/party', (c) => {
    broker.requireOpen();
    return c.json({ nonce: encodeBase64url(partyNonces.make()) });
  });

  app.put('/v1/secrets/:name', async (c) => {
    const { name } = c.req.param();
    const { statements, value } = await readBody(c, importBody);
    broker.requireActive();
    const { payload } = await hear(statements, 'import-secret');
    const { digest } = namedSecret(readValue(payload, importSaid), name);
    return c.json(await secrets.import(name, value, { digest }), 201);
  });

  app.post('/v1/party/secrets/:name/rotate', async (c) => {
    const { name } = c.req.param();
    const { statements } = await readBody(c, statementsBody);
    broker.requireActive();
    const { payload } = await hear(statements, 'rotate-secret');
    namedSecret(readValue(payload, rotateSaid), name);
    return c.json(await secrets.rotate(name), 201);
  });

  app.post('/v1/party/secrets/:name/destroy', async (c) => {
    const { name } = c.req.param();
    const { statements } = await readBody(c, statementsBody);
    broker.requireActive();
    const { payload } = await hear(statements, 'destroy-secret');
    const { version } = namedSecret(readValue(payload, destroySaid), name);
    await secrets.destroy(name, version);
    return c.body(null, 204);
  });

  app.post('/v1/party/machines', async (c) => {
    const { statements } = await readBody(c, statementsBody);
    broker.requireActive();
    const { payload, signers } = await hear(statements, 'admit-machine');
    const { machine, admitted } = readValue(payload, machineSaid);
    await replicas.admit(machine, { admitted, signers });
    return c.body(null, 204);
  });

  app.post('/v1/recovery/set', async (c) => {
    const { statements } = await readBody(c, statementsBody);
    broker.requireActive();
    const { payload, signers } = await hear(statements, 'recovery-set');
    const { k, recipients } = readValue(payload, recoverySaid);
    if (k > recipients.length) throw new BrokerError('malformed', { detail: 'k of n' });
    const keys = recipients.map((key) => parseJwk(key, 'recipient'));
    return c.json(await recovery.makeSet({ k, recipients: keys, signers }), 201);
  });

  app.post('/v1/recovery/shares', async (c) => {
    const { share } = await readBody(c, shareBody);
    const progress = await recovery.addShare(share);
    return c.json({ ...progress, state: broker.phase });
  });

  app.post('/v1/counters/:name/reset', async (c) => {
    const { name } = c.req.param();
    const { statements } = await readBody(c, statementsBody);
    broker.requireActive();
    const { payload, signers } = await hear(statements, 'reset-counter');
    const { nonce, ...reset } = namedSecret(readValue(payload, resetSaid), name);
    const answer = { ...reset, signers, nonce: decodeBase64url(nonce) };
    return c.json(await counters.reset(name, answer));
  });

  app.post('/v1/override', async (c) => {
    const { statements } = await readBody(c, statementsBody);
    const { payload, signers } = await hear(statements, 'override-witness');
    await broker.override(readValue(payload, overrideSaid), statements, signers);
    return c.json({ state: broker.phase });
  });
}

function namedSecret<T extends { readonly name: string }>(payload: T, name: string): T {
  if (payload.name !== name)
    throw new BrokerError('statement_refused', { detail: 'it names another one' });
  return payload;
}
