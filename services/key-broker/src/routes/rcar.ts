import { Hono } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import type { VerificationCache } from '@cloister/attestation';
import { MalformedError, parseJsonObject, type JsonObject } from '@cloister/bytes';
import type { Random } from '@cloister/sealing';
import type { Broker } from '../broker.ts';
import { BrokerError } from '../broker-error.ts';
import { isKnownTee, judgeAttestation, type AttestationTrust } from '../rcar/judge-attestation.ts';
import { RcarError } from '../rcar/rcar-error.ts';
import { signRcarToken, verifyRcarToken } from '../rcar/rcar-token.ts';
import { releaseResource } from '../rcar/release-resource.ts';
import { COOKIE, SESSION_SECONDS, Sessions, type AttestedClient } from '../rcar/sessions.ts';

/** What the RCAR routes need. */
export interface RcarDeps {
  readonly broker: Broker;
  readonly random: Random;
  readonly cache: VerificationCache;
  readonly collateral: AttestationTrust['collateral'];
  /** The `iss` of tokens: this broker's address. */
  readonly issuer: () => string;
}

/** Trustee's protocol: version 0.1.1 and those after it that did not change these messages. */
const VERSION = /^0\.\d{1,3}\.\d{1,3}$/;

/** Request, challenge, attestation, response (spec/key-broker.md 2.4), plain as the protocol says. */
export function rcarRoutes({ broker, random, cache, collateral, issuer }: RcarDeps): Hono {
  const sessions = new Sessions(random, () => broker.now());
  const app = new Hono();
  app.use(bodyLimit({ maxSize: 1 << 20, onError: () => tooLarge() }));

  app.post('/auth', async (c) => {
    broker.requireActive();
    const { version, tee } = readBody(await c.req.text());
    if (typeof version !== 'string' || !VERSION.test(version))
      throw new RcarError('ProtocolVersion', '0.x.y is spoken here');
    if (typeof tee !== 'string' || !isKnownTee(tee))
      throw new RcarError('UnsupportedTee', 'sgx, tdx or snp');
    const session = sessions.open(tee);
    c.header('set-cookie', cookieOf(session.id));
    return c.json({ nonce: session.nonce, 'extra-params': {} });
  });

  app.post('/attest', async (c) => {
    const { trust, keys } = broker.requireActive();
    const session = sessions.find(c.req.header('cookie'));
    const at = new Date(broker.now() * 1000);
    const rules = { manifest: trust, at, cache, collateral };
    session.client = await judgeAttestation(readBody(await c.req.text()), session, rules);
    const how = { issuer: issuer(), now: broker.now(), key: keys.signing };
    const token = await signRcarToken(session.client, how);
    c.header('set-cookie', cookieOf(session.id));
    return c.json({ token });
  });

  app.get('/resource/:repository/:type/:tag', async (c) => {
    await broker.refresh();
    const active = broker.requireActive();
    const client = await clientOf(c.req.header('authorization'), c.req.header('cookie'));
    const path = c.req.param();
    return c.json(await releaseResource(path, client, { broker, active, random }));
  });

  async function clientOf(
    authorization: string | undefined,
    cookie: string | undefined,
  ): Promise<AttestedClient> {
    const { keys } = broker.requireActive();
    const bearer = /^Bearer ([\w.-]+)$/.exec(authorization ?? '')?.[1];
    if (bearer !== undefined)
      return verifyRcarToken(bearer, { issuer: issuer(), now: broker.now(), key: keys.jwk });
    const { client } = sessions.find(cookie);
    if (client === undefined) throw new RcarError('Unauthenticated', 'not attested');
    return client;
  }

  app.onError((error) => {
    if (error instanceof RcarError) return error.toResponse();
    if (error instanceof MalformedError)
      return new RcarError('MalformedRequest', error.where).toResponse();
    if (error instanceof BrokerError) return new RcarError('Unavailable', error.code).toResponse();
    throw error;
  });
  return app;
}

function readBody(text: string): JsonObject {
  return parseJsonObject(text, 'request', { maxLength: 1 << 20, maxDepth: 16 });
}

function cookieOf(id: string): string {
  return `${COOKIE}=${id}; Path=/kbs; HttpOnly; SameSite=Strict; Max-Age=${SESSION_SECONDS}`;
}

function tooLarge(): Response {
  return new RcarError('MalformedRequest', 'too large').toResponse();
}
