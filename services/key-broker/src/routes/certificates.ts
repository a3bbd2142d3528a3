import type { Hono } from 'hono';
import * as v from 'valibot';
import { parseEnvelope } from '@cloister/attestation';
import { decodeBase64url, encodeBase64url, type JsonValue } from '@cloister/bytes';
import type { Broker } from '../broker.ts';
import type { Certificates } from '../certificates/certificates.ts';
import { base64urlField, nonceField, readBody, readValue } from './read-body.ts';
import { markerFor, type InnerEnv } from './service-calls.ts';

/** What the calls about certificates need. */
export interface CertificateDeps {
  readonly broker: Broker;
  readonly certificates: Certificates;
}

const MAX_REQUEST = 16_384;
const orderBody = v.strictObject({
  evidence: v.custom<JsonValue>(() => true),
  csr: base64urlField(1, MAX_REQUEST),
  hours: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(24)), 24),
  nonce: nonceField,
});
const authoritiesQuery = v.strictObject({
  nonce: v.optional(v.pipe(v.string(), v.regex(/^[\w-]{22,86}$/))),
});

/** Orders certificates, inside the channel: by fresh evidence over a nonce of this broker. */
export function certificateRoutes(
  app: Hono<InnerEnv>,
  { broker, certificates }: CertificateDeps,
): void {
  app.post('/v1/certificates', async (c) => {
    const { evidence, csr, hours, nonce } = await readBody(c, orderBody);
    const issued = await certificates.issue({
      evidence: parseEnvelope(evidence),
      request: csr,
      hours,
      nonce,
      marker: markerFor(c, broker),
    });
    const { certificate, authorities } = issued;
    return c.json({ certificate: encodeBase64url(certificate), authorities }, 201);
  });
}

/** Which authorities count: signed, so the same outside of the channel. */
export function authorityRoutes(app: Hono, { certificates }: CertificateDeps): void {
  app.get('/v1/certificates/ca', async (c) => {
    const { nonce } = readValue(c.req.query(), authoritiesQuery);
    const known = nonce === undefined ? undefined : decodeBase64url(nonce, 'nonce');
    return c.json({ authorities: await certificates.authorities(known) });
  });
}
