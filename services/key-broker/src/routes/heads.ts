import type { Hono } from 'hono';
import * as v from 'valibot';
import { encodeBase64url } from '@cloister/bytes';
import { BrokerError } from '../broker-error.ts';
import type { Broker } from '../broker.ts';
import {
  base64urlField,
  nameField,
  nonceField,
  readBody,
  readValue,
  statementsField,
} from './read-body.ts';

const MAX_WAIT_SECONDS = 25;
const MAX_ENTRIES = 256;

const size = v.pipe(v.string(), v.regex(/^\d{1,15}$/), v.transform(Number));
const headQuery = v.strictObject({
  after: v.optional(v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/))),
  wait: v.optional(size),
});
const proofQuery = v.union([
  v.strictObject({ first: size, second: size }),
  v.strictObject({ index: size, size }),
]);
const entriesQuery = v.strictObject({ start: size, count: v.optional(size) });
const witnessBody = v.strictObject({
  party: nameField,
  nonce: nonceField,
  head: v.optional(v.pipe(v.string(), v.maxLength(4096))),
  proof: v.optional(v.pipe(v.array(base64urlField(32, 32)), v.maxLength(64))),
  override: v.optional(statementsField),
});

/** Heads, the audit log with its proofs, and witnessing: signed or public, also outside of the channel. */
export function headRoutes(app: Hono, broker: Broker): void {
  app.get('/v1/head', async (c) => {
    const { after, wait = 0 } = readValue(c.req.query(), headQuery);
    if (after !== undefined)
      await broker.heads.wait(after, Math.min(wait, MAX_WAIT_SECONDS) * 1000);
    // Also a broker that sleeps says what it said last, never what it only believes.
    const head = broker.heads.newest;
    if (head === undefined) broker.requireActive();
    if (head === undefined) throw new BrokerError('busy');
    return c.json({ head: head.jws });
  });

  app.get('/v1/heads', (c) => {
    const { lease } = broker.requireTrust().manifest;
    // More than count: whoever is shown an old one is to see that it is old, and not a stranger's.
    return c.json({ heads: broker.heads.recent(4 * lease).map(({ jws }) => jws) });
  });

  app.get('/v1/log/sth', async (c) => {
    await broker.refresh();
    // A broker that may be an old copy signs nothing about what holds now.
    broker.requireActive();
    return c.json({ head: (await broker.signedTreeHead()).jws });
  });

  app.get('/v1/log/proof', async (c) => {
    const query = readValue(c.req.query(), proofQuery);
    await broker.refresh();
    const { tree } = broker.requireOpen().journal;
    const proof = inRange(() =>
      'first' in query
        ? tree.consistencyProof(query.first, query.second)
        : tree.inclusionProof(query.index, query.size),
    );
    return c.json({ proof: proof.map(encodeBase64url) });
  });

  app.get('/v1/log/entries', async (c) => {
    const { start, count = MAX_ENTRIES } = readValue(c.req.query(), entriesQuery);
    await broker.refresh();
    const end = start + Math.min(count, MAX_ENTRIES);
    const entries = await broker.entries(start, end);
    return c.json({ entries: entries.map(encodeBase64url) });
  });

  app.post('/v1/witness', async (c) => {
    const question = await readBody(c, witnessBody);
    const { keys, journal } = broker.requireOpen();
    const manifest = broker.requireTrust();
    const statement = await broker.witnesses.answer(question, { manifest, keys, journal });
    return c.json({ statement });
  });
}

function inRange<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new BrokerError('malformed', { detail: 'the log is shorter' }, { cause: error });
  }
}
