import { Hono } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import { decodeUtf8, parseJsonObject } from '@cloister/bytes';
import { loginAudit } from '../fhir/audit-event.ts';
import type { Cache } from '@cloister/service';
import { RateLimit } from '../cache/rate-limit.ts';
import { RefusedError } from '../refused-error.ts';
import { type Account, checkPassword } from '../sign-in/accounts.ts';
import type { Sessions } from '../sign-in/sessions.ts';
import { Throttle } from '../sign-in/throttle.ts';
import { auditContext, auditEntry, commitFor, type Core, type Env } from './context.ts';

/** What signing in works with. */
export interface SessionDeps extends Core {
  readonly sessions: Sessions;
  readonly accounts: readonly Account[];
  /** `Practitioner/<id>` by user name. */
  readonly practitioners: ReadonlyMap<string, string>;
  readonly cache: Cache;
}

/** Wrong passwords for one name at all replicas together: each slows guessing down by itself, too. */
const FAILURES = { most: 20, windowMs: 15 * 60_000 };

function onError(): never {
  throw new RefusedError('too_large');
}

/** `POST /session` signs in; every try is recorded. */
export function signInRoutes(deps: SessionDeps): Hono<Env> {
  const { sessions, accounts, practitioners, random } = deps;
  const throttle = new Throttle(deps.now);
  const limit = new RateLimit({ cache: deps.cache, name: 'sign-in', ...FAILURES });
  const app = new Hono<Env>();

  app.post('/session', bodyLimit({ maxSize: 4096, onError }), async (c) => {
    const text = decodeUtf8(new Uint8Array(await c.req.arrayBuffer()), 'sign-in');
    const { user, password } = parseJsonObject(text, 'sign-in');
    if (typeof user !== 'string' || typeof password !== 'string')
      throw new RefusedError('bad_request', 'user and password are needed');
    throttle.check(user);
    await limit.check(user);
    const account = await checkPassword(accounts, user, password);
    const practitioner = account === undefined ? undefined : practitioners.get(account.user);
    const audit = {
      device: deps.device,
      at: deps.now(),
      requestId: c.get('requestId'),
      ...(practitioner === undefined ? {} : { user: practitioner }),
    };
    const failed = account === undefined || practitioner === undefined;
    const entry = auditEntry(random, loginAudit(audit, 'login', failed ? '8' : '0'));
    if (failed) {
      await commitFor(deps, c, [entry]);
      throttle.failed(user);
      await limit.count(user);
      throw new RefusedError('wrong_password', 'user or password is wrong');
    }
    throttle.succeeded(user);
    const { token, session, entry: begun } = await sessions.create(account, practitioner);
    await commitFor(deps, c, [entry, begun]);
    const { name, role } = account;
    const expires = session.expires.toISOString();
    return c.json({ token, user: { name, role, practitioner }, expires });
  });
  return app;
}

/** `DELETE /session` signs out. */
export function signOutRoutes(deps: SessionDeps): Hono<Env> {
  const app = new Hono<Env>();
  app.delete('/session', async (c) => {
    const event = loginAudit(auditContext(deps, c), 'logout', '0');
    const ending = deps.sessions.ending(c.get('session').id);
    await commitFor(deps, c, [auditEntry(deps.random, event), ending]);
    return c.body(null, 204);
  });
  return app;
}
