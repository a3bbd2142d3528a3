import { encodeHex, encodePem, type Bytes } from '@cloister/bytes';
import { parseCertificate, sha256 } from '@cloister/crypto';
import type { IntelCollateral } from '../intel/collateral.ts';

/** The private keys of a simulated platform. They are extractable: it is a file, not hardware. */
export interface SimulatedKeys {
  readonly root: CryptoKeyPair;
  readonly platformCa: CryptoKeyPair;
  readonly pck: CryptoKeyPair;
  readonly tcbSigning: CryptoKeyPair;
  /** With which the Quoting Enclave signs quotes. */
  readonly attestation: CryptoKeyPair;
}

/** DER certificates of a simulated platform. */
export interface SimulatedCertificates {
  readonly root: Bytes;
  readonly platformCa: Bytes;
  readonly pck: Bytes;
  readonly tcbSigning: Bytes;
}

/** The simulated Quoting Enclave's report over its attestation key, certified by the PCK. */
export interface SimulatedQuotingEnclave {
  readonly report: Bytes;
  readonly signature: Bytes;
  readonly authData: Bytes;
}

/**
 * Software in the place of an SGX machine and of Intel's services (design 2.3): it proves that
 * the code paths work, and nothing against whoever holds it.
 */
export interface SimulatedPlatform {
  readonly keys: SimulatedKeys;
  readonly certificates: SimulatedCertificates;
  readonly quotingEnclave: SimulatedQuotingEnclave;
  readonly collateral: IntelCollateral;
}

/** The collateral by which quotes of this platform verify. */
export function platformCollateral(platform: SimulatedPlatform): IntelCollateral {
  return platform.collateral;
}

/** SHA-256 of the root's SubjectPublicKeyInfo, lower hex: what a manifest names (rule 9). */
export async function platformRootDigest(platform: SimulatedPlatform): Promise<string> {
  return encodeHex(await sha256(parseCertificate(platform.certificates.root).spki));
}

/** A chain of certificates as PEM, in this order. */
export function pemChain(...certificates: readonly Bytes[]): string {
  return certificates.map((der) => encodePem('CERTIFICATE', der)).join('');
}
