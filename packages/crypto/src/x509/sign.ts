import { DER, encodeDer, type Bytes } from '@cloister/bytes';
import { ecdsaRawToDer } from '../ecdsa-signature.ts';
import { encodeSignatureAlgorithm, type SignatureAlgorithm } from './signature-algorithm.ts';

/** The signature algorithm that goes with a private key; TypeError where there is none here. */
export function signatureAlgorithmOf(signer: CryptoKey): SignatureAlgorithm {
  const { algorithm } = signer;
  const detail =
    'namedCurve' in algorithm
      ? algorithm.namedCurve
      : hashName('hash' in algorithm && algorithm.hash);
  switch (`${algorithm.name} ${String(detail)}`) {
    case 'ECDSA P-256':
      return 'ecdsa-sha256';
    case 'ECDSA P-384':
      return 'ecdsa-sha384';
    case 'RSASSA-PKCS1-v1_5 SHA-256':
      return 'rsa-pkcs1-sha256';
    case 'RSASSA-PKCS1-v1_5 SHA-384':
      return 'rsa-pkcs1-sha384';
    case 'RSA-PSS SHA-256':
      return 'rsa-pss-sha256';
    case 'RSA-PSS SHA-384':
      return 'rsa-pss-sha384';
    default:
      throw new TypeError('a key of this algorithm signs no certificates');
  }
}

function hashName(hash: unknown): unknown {
  return typeof hash === 'object' && hash !== null && 'name' in hash ? hash.name : hash;
}

/** SEQUENCE {tbs, algorithm, signature}: what certificates and CRLs are. */
export async function signStructure(
  signer: CryptoKey,
  algorithm: SignatureAlgorithm,
  tbs: Bytes,
): Promise<Bytes> {
  const signature = new Uint8Array(await crypto.subtle.sign(operation(algorithm), signer, tbs));
  return encodeDer(
    DER.SEQUENCE,
    tbs,
    encodeSignatureAlgorithm(algorithm),
    encodeDer(
      DER.BIT_STRING,
      Uint8Array.of(0),
      algorithm.startsWith('ecdsa') ? ecdsaRawToDer(signature) : signature,
    ),
  );
}

function operation(algorithm: SignatureAlgorithm): EcdsaParams | RsaPssParams | Algorithm {
  const is384 = algorithm.endsWith('sha384');
  if (algorithm.startsWith('ecdsa')) return { name: 'ECDSA', hash: is384 ? 'SHA-384' : 'SHA-256' };
  if (algorithm.startsWith('rsa-pss')) return { name: 'RSA-PSS', saltLength: is384 ? 48 : 32 };
  return { name: 'RSASSA-PKCS1-v1_5' };
}
