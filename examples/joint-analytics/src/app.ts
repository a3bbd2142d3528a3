import { Hono } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import { encodeHex, MalformedError } from '@cloister/bytes';
import type { EncapsulationContext } from '@cloister/channel';
import { type Jwk, sha256, verifyJws } from '@cloister/crypto';
import { problem } from '@cloister/service';
import { joinExposures, type Row } from './statistics.ts';

/** The parties to the computation and the keys that the trust manifest names for them. */
export type Parties = Readonly<Record<string, { readonly keys: readonly Jwk[] }>>;

/** What a party's signature is over; `typ` of its JWS is `joint-analytics+jws`. */
export interface Statement {
  readonly computation: string;
  readonly party: string;
  /** SHA-256 of the rows, or of nothing where the result is asked for. */
  readonly sha256: string;
}

const LARGEST = 16 * 1024 * 1024;

/**
 * The application: plain Hono. It knows nothing of the channel; that whoever calls saw this very code
 * attested, and that nobody else can read what is sent, is none of its business.
 */
export function createApp(parties: Parties): Hono<{ Bindings: EncapsulationContext }> {
  const app = new Hono<{ Bindings: EncapsulationContext }>();
  const computations = new Map<string, Map<string, readonly Row[]>>();

  // Whoever sends a request again gets 409: its effect is there already, or it has none.
  app.put(
    '/computations/:id/rows',
    bodyLimit({ maxSize: LARGEST, onError: () => problem(413, 'too_large') }),
    async (c) => {
      const body = new Uint8Array(await c.req.arrayBuffer());
      const party = await signer(c.req.header('statement'), parties, c.req.param('id'), body);
      if (party === undefined) return problem(401, 'no_party');
      const rows = parseRows(new TextDecoder().decode(body));
      const given = computations.get(c.req.param('id')) ?? new Map<string, readonly Row[]>();
      // Rows that could be changed could be changed by one customer at a time.
      if (given.has(party)) return problem(409, 'given_already');
      computations.set(c.req.param('id'), given.set(party, rows));
      return c.json({ rows: rows.length }, 201);
    },
  );

  app.get('/computations/:id', async (c) => {
    const id = c.req.param('id');
    const party = await signer(c.req.header('statement'), parties, id, new Uint8Array());
    if (party === undefined) return problem(401, 'no_party');
    const [first, second] = Object.keys(parties).map((name) => computations.get(id)?.get(name));
    if (first === undefined || second === undefined) return problem(404, 'rows_missing');
    const statistic = joinExposures(first, second);
    return statistic === undefined ? problem(422, 'group_too_small') : c.json(statistic);
  });

  app.notFound(() => problem(404, 'not_found'));
  app.onError((error) => {
    if (error instanceof MalformedError) return problem(400, error.code, error.where);
    return problem(500, 'internal');
  });
  return app;
}

/** The party that signed for this computation and this content; undefined where none did. */
async function signer(
  jws: string | undefined,
  parties: Parties,
  computation: string,
  content: Uint8Array,
): Promise<string | undefined> {
  const digest = encodeHex(await sha256(content));
  for (const [party, { keys }] of Object.entries(parties)) {
    const expected = JSON.stringify({ computation, party, sha256: digest } satisfies Statement);
    for (const key of keys) {
      const verdict = await verifyJws(jws ?? '', {
        key,
        algs: ['ES256'],
        typ: 'joint-analytics+jws',
      });
      if (verdict.ok && new TextDecoder().decode(verdict.payload) === expected) return party;
    }
  }
  return undefined;
}

/** Lines `customer,exposure`. What is wrong with them is said without quoting them. */
function parseRows(text: string): Row[] {
  const rows = text
    .split('\n')
    .filter((line) => line !== '')
    .map((line, i) => {
      const match = /^([\w-]{1,64}),(\d{1,12}(?:\.\d{1,2})?)$/.exec(line);
      if (match === null) throw new MalformedError('bad_value', `rows, line ${i + 1}`);
      const [, customer = '', exposure = ''] = match;
      return { customer, exposure: Number(exposure) };
    });
  if (new Set(rows.map(({ customer }) => customer)).size < rows.length)
    throw new MalformedError('bad_value', 'rows: a customer twice');
  return rows;
}
