import { concatBytes, type Bytes } from '@cloister/bytes';
import {
  authorityKeyIdentifierExtension,
  basicConstraintsExtension,
  createCertificate,
  crlDistributionPointsExtension,
  encodeName,
  keyIdentifier,
  keyUsageExtension,
  sha256,
  subjectKeyIdentifierExtension,
  type ExtensionInput,
} from '@cloister/crypto';
import { createCollateral, SIMULATED_PLATFORM, type CollateralTerms } from './create-collateral.ts';
import { encodeEnclaveReport, SIMULATED_CPU_SVN } from './enclave-report.ts';
import { pckExtension } from './pck-extension.ts';
import type {
  SimulatedCertificates,
  SimulatedKeys,
  SimulatedPlatform,
  SimulatedQuotingEnclave,
} from './simulated-platform.ts';

const YEARS = 10;
const DAY = 86_400_000;
/** Names that a reader of a certificate cannot take for Intel's; the verifier's phrases stay. */
const NAMES = {
  root: 'Cloister Simulated SGX Root CA',
  platformCa: 'Cloister Simulated SGX PCK Platform CA',
  pck: 'Cloister Simulated SGX PCK Certificate',
  tcbSigning: 'Cloister Simulated SGX TCB Signing',
} as const;
const CRL_ADDRESS = 'https://simulated.invalid/crl';

/** ECDSA over P-256 with SHA-256, what all of Intel's keys are. */
export const P256 = { name: 'ECDSA', namedCurve: 'P-256' } as const;

/**
 * Makes a platform with a root of its own (design 2.3): certificates for ten years, collateral
 * for one. `random` gives serials and identifiers; keys are made by WebCrypto.
 */
export async function createSimulatedPlatform(
  options: CollateralTerms & { readonly random: (length: number) => Bytes },
): Promise<SimulatedPlatform> {
  const { random, ...terms } = options;
  const [root, platformCa, pck, tcbSigning, attestation] = await Promise.all([
    makeKeys(),
    makeKeys(),
    makeKeys(),
    makeKeys(),
    makeKeys(),
  ]);
  const keys = { root, platformCa, pck, tcbSigning, attestation };
  const certificates = await createCertificates(keys, options);
  return {
    keys,
    certificates,
    quotingEnclave: await createQuotingEnclave(keys, random),
    collateral: await createCollateral(keys, certificates, terms),
  };
}

async function makeKeys(): Promise<CryptoKeyPair> {
  return crypto.subtle.generateKey(P256, true, ['sign', 'verify']);
}

function caExtensions(pathLength: number): readonly ExtensionInput[] {
  return [
    keyUsageExtension('keyCertSign', 'cRLSign'),
    basicConstraintsExtension({ ca: true, pathLength }),
  ];
}

async function createCertificates(
  keys: SimulatedKeys,
  { at, random }: { readonly at: Date; readonly random: (length: number) => Bytes },
): Promise<SimulatedCertificates> {
  const notBefore = new Date(Math.floor((at.getTime() - DAY) / 1000) * 1000);
  const notAfter = new Date(notBefore.getTime() + YEARS * 365 * DAY);
  const issue = async (
    subject: keyof SimulatedCertificates,
    issuer: 'root' | 'platformCa',
    extensions: readonly ExtensionInput[],
  ): Promise<Bytes> => {
    const publicKey = await spkiOf(keys[subject]);
    return createCertificate({
      subject: encodeName({ commonName: NAMES[subject] }),
      issuer: encodeName({ commonName: NAMES[issuer] }),
      serial: concatBytes(Uint8Array.of(0x40 | ((random(1)[0] ?? 0) & 0x3f)), random(19)),
      notBefore,
      notAfter,
      publicKey,
      signer: keys[issuer].privateKey,
      extensions: [
        authorityKeyIdentifierExtension(await keyIdentifier(await spkiOf(keys[issuer]))),
        crlDistributionPointsExtension(`${CRL_ADDRESS}/${issuer}.der`),
        subjectKeyIdentifierExtension(await keyIdentifier(publicKey)),
        ...extensions,
      ],
    });
  };
  const leaf = [
    keyUsageExtension('digitalSignature', 'nonRepudiation'),
    basicConstraintsExtension({ ca: false }),
  ];
  const { fmspc, pceId, pceSvn } = SIMULATED_PLATFORM;
  const facts = {
    ppid: random(16),
    components: SIMULATED_CPU_SVN,
    pceSvn,
    pceId,
    fmspc,
    platformInstanceId: random(16),
  };
  return {
    root: await issue('root', 'root', caExtensions(1)),
    platformCa: await issue('platformCa', 'root', caExtensions(0)),
    pck: await issue('pck', 'platformCa', [...leaf, pckExtension(facts)]),
    tcbSigning: await issue('tcbSigning', 'root', leaf),
  };
}

/** The Quoting Enclave's report over its attestation key, signed by the PCK key (4.G and 4.H). */
async function createQuotingEnclave(
  keys: SimulatedKeys,
  random: (length: number) => Bytes,
): Promise<SimulatedQuotingEnclave> {
  const authData = random(32);
  const reportData = new Uint8Array(64);
  reportData.set(await sha256(concatBytes(await pointOf(keys.attestation), authData)));
  const { mrsigner, isvProdId, isvSvn } = SIMULATED_PLATFORM.qe;
  const mrenclave = mrsigner;
  const report = encodeEnclaveReport({ mrenclave, mrsigner, isvProdId, isvSvn, reportData });
  const algorithm = { name: 'ECDSA', hash: 'SHA-256' };
  const signature = await crypto.subtle.sign(algorithm, keys.pck.privateKey, report);
  return { report, signature: new Uint8Array(signature), authData };
}

async function spkiOf(keys: CryptoKeyPair): Promise<Bytes> {
  return new Uint8Array(await crypto.subtle.exportKey('spki', keys.publicKey));
}

/** A public key as quotes carry it: x‖y. */
export async function pointOf(keys: CryptoKeyPair): Promise<Bytes> {
  return new Uint8Array(await crypto.subtle.exportKey('raw', keys.publicKey)).slice(1);
}
