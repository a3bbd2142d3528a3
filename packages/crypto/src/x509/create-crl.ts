import { DER, decodeHex, encodeDer, encodeDerInteger, type Bytes } from '@cloister/bytes';
import { encodeSerial } from './create-certificate.ts';
import {
  authorityKeyIdentifierExtension,
  encodeExtensions,
  type ExtensionInput,
} from './encode-extensions.ts';
import { EXTENSION } from './extensions.ts';
import { signatureAlgorithmOf, signStructure } from './sign.ts';
import { encodeSignatureAlgorithm } from './signature-algorithm.ts';
import { encodeTime } from './time.ts';

/** A certificate to list as revoked. */
export interface RevokedInput {
  readonly serial: Bytes | string;
  readonly revokedAt: Date;
  /** CRLReason (RFC 5280, 5.3.1), such as 1 for keyCompromise; none unless told. */
  readonly reason?: number;
}

/** What a new CRL says. */
export interface CrlInput {
  /** The DER Name of the issuer. */
  readonly issuer: Bytes;
  readonly thisUpdate: Date;
  readonly nextUpdate: Date;
  readonly revoked: readonly RevokedInput[];
  /** Big-endian, or its lower hex. */
  readonly crlNumber: Bytes | string;
  readonly authorityKeyIdentifier: Bytes;
  /** The issuer's private key. */
  readonly signer: CryptoKey;
  /** Besides cRLNumber and authorityKeyIdentifier; none unless told. */
  readonly extensions?: readonly ExtensionInput[];
}

/** Makes a DER CRL, version 2 (RFC 5280, section 5.1), for a PKI of our own. */
export async function createCrl(input: CrlInput): Promise<Bytes> {
  const { issuer, thisUpdate, nextUpdate, revoked, crlNumber, signer, extensions = [] } = input;
  const algorithm = signatureAlgorithmOf(signer);
  const number = typeof crlNumber === 'string' ? decodeHex(crlNumber, 'cRLNumber') : crlNumber;
  const tbs = encodeDer(
    DER.SEQUENCE,
    encodeDerInteger(Uint8Array.of(1)),
    encodeSignatureAlgorithm(algorithm),
    issuer,
    encodeTime(thisUpdate),
    encodeTime(nextUpdate),
    ...(revoked.length === 0 ? [] : [encodeDer(DER.SEQUENCE, ...revoked.map(encodeEntry))]),
    encodeDer(
      0xa0,
      encodeExtensions([
        authorityKeyIdentifierExtension(input.authorityKeyIdentifier),
        { oid: EXTENSION.CRL_NUMBER, value: encodeDerInteger(number) },
        ...extensions,
      ]),
    ),
  );
  return signStructure(signer, algorithm, tbs);
}

function encodeEntry({ serial, revokedAt, reason }: RevokedInput): Bytes {
  const extensions =
    reason === undefined
      ? []
      : [
          encodeExtensions([
            {
              oid: EXTENSION.REASON_CODE,
              value: encodeDer(DER.ENUMERATED, Uint8Array.of(reason)),
            },
          ]),
        ];
  return encodeDer(DER.SEQUENCE, encodeSerial(serial), encodeTime(revokedAt), ...extensions);
}
