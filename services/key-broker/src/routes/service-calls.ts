import type { Context, Hono } from 'hono';
import * as v from 'valibot';
import {
  parseEnvelope,
  verifyPeer,
  parseRuntimeData,
  type VerificationCache,
} from '@cloister/attestation';
import { encodeBase64url, type JsonValue } from '@cloister/bytes';
import type { EncapsulationContext } from '@cloister/channel';
import { NODE_EVIDENCE_CRYPTO, type Marker } from '@cloister/service';
import type { Broker } from '../broker.ts';
import type { Counters } from '../counters.ts';
import type { Replicas } from '../recovery/replicas.ts';
import { agreedSecret, type Leases } from '../release/leases.ts';
import type { PartySecrets } from '../release/party-secrets.ts';
import type { CallerGate } from '../trust/caller-gate.ts';
import type { NonceMemory } from '../trust/nonce-memory.ts';
import {
  countField,
  digestField,
  nameField,
  nonceField,
  readBody,
  readValue,
} from './read-body.ts';

/** An application inside the channel: it knows the encapsulation that a request came in. */
export type InnerEnv = { Bindings: EncapsulationContext };

/** What the calls of services need. */
export interface ServiceCallDeps {
  readonly broker: Broker;
  readonly nonces: NonceMemory;
  readonly leases: Leases;
  readonly secrets: PartySecrets;
  readonly counters: Counters;
  readonly callers: CallerGate;
  readonly replicas: Replicas;
  readonly cache: VerificationCache;
}

/** How long an encapsulation is remembered in the store: longer than its Date is good. */
const REMEMBER_MS = 15 * 60_000;

const json = v.custom<JsonValue>(() => true);
const leaseBody = v.strictObject({
  evidence: json,
  nonce: nonceField,
  lease: v.optional(v.pipe(v.string(), v.regex(/^[0-9a-f]{32}$/))),
  derive: v.optional(v.pipe(v.string(), v.regex(/^[\w.:/-]{1,64}$/))),
});
const moveBody = v.strictObject({
  expected: countField,
  next: countField,
  digest: digestField,
  nonce: nonceField,
});
const replicaBody = v.strictObject({ party: nameField, evidence: json, nonce: nonceField });
const nonceBody = v.strictObject({ nonce: nonceField });
const explainBody = v.strictObject({ evidence: json, service: v.optional(nameField) });
const versionParam = v.pipe(v.string(), v.regex(/^[1-9]\d{0,9}$/), v.transform(Number));

/** What services do inside the channel (spec/key-broker.md 5.2). */
export function serviceCallRoutes(app: Hono<InnerEnv>, deps: ServiceCallDeps): void {
  const { broker, nonces, leases, secrets, counters, replicas, callers } = deps;
  const markerOf = (c: Context<InnerEnv>): Marker => markerFor(c, broker);
  const callerOf = (c: Context<InnerEnv>, services: readonly string[]) =>
    callers(c.req.raw, c.env.binding, { manifest: broker.requireTrust(), services });

  app.post('/v1/challenge', (c) => {
    broker.requireOpen();
    return c.json({ nonce: encodeBase64url(nonces.make()) });
  });

  app.post('/v1/leases/:name', async (c) => {
    const { evidence, ...rest } = await readBody(c, leaseBody);
    const { name } = c.req.param();
    const envelope = parseEnvelope(evidence);
    const marker = markerOf(c);
    return c.json(await leases.release({ name, evidence: envelope, ...rest, marker }));
  });

  app.post('/v1/replicas/state-key', async (c) => {
    const { evidence, ...rest } = await readBody(c, replicaBody);
    const envelope = parseEnvelope(evidence);
    const marker = markerOf(c);
    return c.json({ jwe: await replicas.release({ evidence: envelope, ...rest, marker }) });
  });

  app.post('/v1/counters/:name/read', async (c) => {
    const { nonce } = await readBody(c, nonceBody);
    return c.json(await counters.read(c.req.param('name'), nonce));
  });

  app.post('/v1/counters/:name', async (c) => {
    const { name } = c.req.param();
    const { service } = await callerOf(c, counters.servicesOf(name));
    const move = await readBody(c, moveBody);
    return c.json(await counters.advance(name, { ...move, service, marker: markerOf(c) }));
  });

  app.post('/v1/secrets/:name/rotate', async (c) => {
    const { name } = c.req.param();
    const { to } = agreedSecret(broker.requireActive().trust, broker.party, name);
    await callerOf(c, to);
    return c.json(await secrets.rotate(name, markerOf(c)));
  });

  app.delete('/v1/secrets/:name/versions/:version', async (c) => {
    const { name, version } = c.req.param();
    const { to } = agreedSecret(broker.requireActive().trust, broker.party, name);
    await callerOf(c, to);
    await secrets.destroy(name, readValue(version, versionParam), markerOf(c));
    return c.body(null, 204);
  });

  app.get('/v1/secrets', (c) => {
    const { trust, journal } = broker.requireActive();
    const owned = Object.entries(trust.manifest.secrets ?? {}).filter(
      ([, { owner }]) => owner === broker.party,
    );
    const list = owned.map(([name, { type, to }]) => {
      const { versions, stale } = journal.state.secret(name);
      const shown = versions.map(({ version, from, until }) => ({ version, from, until }));
      return { name, type, to, versions: shown, stale };
    });
    return c.json({ secrets: list });
  });

  app.post('/v1/explain', async (c) => {
    const { evidence, service } = await readBody(c, explainBody);
    return c.json(await explain(deps, evidence, service));
  });
}

/** The mark by which a request is taken once, whoever repeats it. */
export function markerFor(c: Context<InnerEnv>, broker: Broker): Marker {
  return { marker: c.env.encapsulation, until: broker.now() * 1000 + REMEMBER_MS };
}

/** A dry run: which check and which predicate says no, and which secrets there would be. */
async function explain(
  { broker, cache }: ServiceCallDeps,
  evidence: JsonValue,
  asked: string | undefined,
) {
  const envelope = parseEnvelope(evidence);
  const manifest = broker.requireTrust();
  const service = asked ?? parseRuntimeData(envelope.runtimeData).service;
  const at = new Date(broker.now() * 1000);
  const crypto = NODE_EVIDENCE_CRYPTO;
  const verdict = await verifyPeer(envelope, { manifest, service, at, cache, crypto });
  const { phase } = broker;
  const secrets = Object.entries(manifest.manifest.secrets ?? {})
    .filter(([, { owner }]) => owner === broker.party)
    .map(([name, { to }]) => {
      const listed = to.includes(service);
      const why = !listed ? 'secret_not_for_service' : verdict.ok ? undefined : verdict.code;
      const reason = why ?? (phase === 'active' ? undefined : phase);
      return { name, released: reason === undefined, ...(reason === undefined ? {} : { reason }) };
    });
  const { ok, checks } = verdict;
  return {
    service,
    state: phase,
    ok,
    ...(verdict.ok ? {} : { code: verdict.code }),
    checks,
    secrets,
  };
}
