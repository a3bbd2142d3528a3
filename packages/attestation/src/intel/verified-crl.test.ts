import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  DER,
  encodeDer,
  encodeDerInteger,
  encodeDerOid,
  encodeUtf8,
  type Bytes,
} from '@cloister/bytes';
import { ecdsaRawToDer, parseCertificate } from '@cloister/crypto';
import { certificates, judge, keys, sign } from './forge.test.ts';

const CRL_NUMBER = encodeDer(
  DER.SEQUENCE,
  encodeDerOid('2.5.29.20'),
  encodeDer(DER.OCTET_STRING, encodeDerInteger(Uint8Array.of(1))),
);
const KEY_IDENTIFIER = encodeDer(
  DER.SEQUENCE,
  encodeDerOid('2.5.29.35'),
  encodeDer(DER.OCTET_STRING, encodeDer(DER.SEQUENCE, encodeDer(0x80, new Uint8Array(20)))),
);
const time = (text: string) => encodeDer(DER.UTC_TIME, encodeUtf8(text));
const UPDATES = [time('260201000000Z'), time('260401000000Z')];

/** A CRL of the PCK CA, well signed, with these updates and extensions. */
async function crlWith(updates: readonly Bytes[], extensions: readonly Bytes[]): Promise<Bytes> {
  const algorithm = encodeDer(DER.SEQUENCE, encodeDerOid('1.2.840.10045.4.3.2'));
  const tbs = encodeDer(
    DER.SEQUENCE,
    encodeDerInteger(Uint8Array.of(1)),
    algorithm,
    parseCertificate(certificates.platformCa).subject,
    ...updates,
    ...(extensions.length === 0 ? [] : [encodeDer(0xa0, encodeDer(DER.SEQUENCE, ...extensions))]),
  );
  const signature = ecdsaRawToDer(await sign(keys.platformCa.privateKey, tbs));
  const bits = encodeDer(DER.BIT_STRING, Uint8Array.of(0), signature);
  return encodeDer(DER.SEQUENCE, tbs, algorithm, bits);
}

describe('verifyCrl', () => {
  const cases: readonly [string, readonly Bytes[], readonly Bytes[], string][] = [
    ['takes a whole one', UPDATES, [CRL_NUMBER, KEY_IDENTIFIER], 'ok'],
    ['refuses one without cRLNumber', UPDATES, [KEY_IDENTIFIER], 'crl.format'],
    ['refuses one without authorityKeyIdentifier', UPDATES, [CRL_NUMBER], 'crl.format'],
    ['refuses one without extensions', UPDATES, [], 'crl.format'],
    [
      'refuses one without nextUpdate',
      UPDATES.slice(0, 1),
      [CRL_NUMBER, KEY_IDENTIFIER],
      'crl.format',
    ],
  ];
  for (const [what, updates, extensions, code] of cases) {
    it(what, async () => {
      const pckCrl = await crlWith(updates, extensions);
      assert.equal(await judge('sgx3', { collateral: { pckCrl } }), code);
    });
  }
});
