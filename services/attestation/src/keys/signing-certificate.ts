import { signingKeyReportData, signingQuoteExtension, type Attester } from '@cloister/attestation';
import type { Bytes } from '@cloister/bytes';
import {
  authorityKeyIdentifierExtension,
  createCertificate,
  encodeName,
  EXTENSION,
  keyIdentifier,
  subjectKeyIdentifierExtension,
  type ExtensionInput,
} from '@cloister/crypto';
import type { SigningKey } from './signing-key.ts';

const TEN_YEARS = 10 * 365 * 86_400_000;

/**
 * The self-signed certificate of the key (spec/azure-attestation.md 6): common name = base URL, and
 * in an extension the quote of this enclave over the key. Without an SGX attester there is none;
 * that of simulated hardware stands under another OID than a real one.
 */
export async function certify(
  key: SigningKey,
  { baseUrl, at, attester }: { baseUrl: string; at: Date; attester?: Attester | undefined },
): Promise<Bytes> {
  const name = encodeName({ commonName: baseUrl });
  const identifier = await keyIdentifier(key.spki);
  const second = Math.floor(at.getTime() / 1000) * 1000;
  return createCertificate({
    subject: name,
    issuer: name,
    serial: '01',
    // Clocks of clients may be behind; none of them checks more than this says.
    notBefore: new Date(second - 3_600_000),
    notAfter: new Date(second + TEN_YEARS),
    publicKey: key.spki,
    signer: key.privateKey,
    extensions: [
      // An empty SEQUENCE: no CA.
      { oid: EXTENSION.BASIC_CONSTRAINTS, value: Uint8Array.of(0x30, 0) },
      subjectKeyIdentifierExtension(identifier),
      authorityKeyIdentifierExtension(identifier),
      ...(await quoteOver(key, attester)),
    ],
  });
}

async function quoteOver(
  { spki }: SigningKey,
  attester: Attester | undefined,
): Promise<ExtensionInput[]> {
  const format = attester?.format;
  if (attester === undefined || (format !== 'sgx-quote' && format !== 'simulated-sgx-quote'))
    return [];
  return [signingQuoteExtension(await attester.quote(await signingKeyReportData(spki)), format)];
}
