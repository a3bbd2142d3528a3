import type { Hono } from 'hono';
import * as v from 'valibot';
import { encodeEnvelope, type EvidenceSource } from '@cloister/attestation';
import { decodeBase64url, encodeHex, type JsonObject } from '@cloister/bytes';
import { signJws } from '@cloister/crypto';
import type { Broker } from '../broker.ts';
import type { Recovery } from '../recovery/recovery.ts';
import { readValue } from './read-body.ts';

/** This process's evidence, and the attested key that vouches for the broker's. */
export interface QuoteSource extends EvidenceSource {
  readonly sigKey: () => CryptoKey;
}

/** The `typ` by which the attested key says which broker key lives in this process. */
const BROKER_KEY_TYP = 'cloister-broker-key+jws';

const query = v.strictObject({
  nonce: v.optional(v.pipe(v.string(), v.regex(/^[\w-]{22,86}$/))),
});

/** In which state the broker is, and what it is: in every state (spec/key-broker.md 5.2). */
export function stateRoutes(
  app: Hono,
  { broker, recovery, quote }: { broker: Broker; recovery: Recovery; quote: QuoteSource },
): void {
  app.get('/v1/state', async (c) => c.json(await describeState(broker, recovery)));

  app.get('/v1/quote', async (c) => {
    const { nonce } = readValue(c.req.query(), query);
    const evidence = await quote.evidence(nonce === undefined ? undefined : decodeBase64url(nonce));
    const keys = broker.opened?.keys;
    return c.json({
      state: broker.phase,
      party: broker.party,
      evidence: encodeEnvelope(evidence),
      ...(keys === undefined
        ? {}
        : {
            brokerKey: { ...keys.jwk },
            // The evidence names `sig`, and `sig` names the key that the manifest will name.
            binding: await signJws({
              alg: 'ES256',
              key: quote.sigKey(),
              header: { typ: BROKER_KEY_TYP },
              payload: JSON.stringify({ party: broker.party, brokerKey: { ...keys.jwk } }),
            }),
          }),
    });
  });
}

async function describeState(broker: Broker, recovery: Recovery): Promise<JsonObject> {
  const { phase, trust, pending, party } = broker;
  const { journal, keys } = broker.opened ?? {};
  const tree = journal?.tree;
  const progress = await recovery.progress();
  const { seen } = broker.gate;
  return {
    state: phase,
    party,
    ...(keys === undefined ? {} : { brokerKey: keys.thumbprint }),
    ...(trust === undefined ? {} : { manifest: trust.id, serial: trust.manifest.serial }),
    ...(pending === undefined
      ? {}
      : { pending: { ...pending, signers: [...pending.signers], missing: [...pending.missing] } }),
    ...(tree === undefined ? {} : { logSize: tree.size, logRoot: encodeHex(tree.root()) }),
    ...(progress === undefined ? {} : { recovery: { ...progress } }),
    ...(seen === undefined
      ? {}
      : { witnessed: { logSize: seen.logSize, logRoot: seen.logRoot, time: seen.time } }),
  };
}
