import { decodeHex, encodeUtf8, Writer, type Bytes } from '@cloister/bytes';
import { SIMULATED_PLATFORM } from './create-collateral.ts';
import { pointOf } from './create-platform.ts';
import { encodeEnclaveReport, type ReportFacts } from './enclave-report.ts';
import { pemChain, type SimulatedPlatform } from './simulated-platform.ts';

const INTEL_QE_VENDOR = '939a7233f79c4ca9940a0db3957f0607';
const ECDSA_P256 = 2;
const PCK_CHAIN = 5;

/**
 * A quote with the byte layout of SGX v3 (spec/evidence.md 1), signed by the simulated Quoting
 * Enclave; its certification data are the PCK chain (type 5).
 */
export async function createSimulatedQuote(
  platform: SimulatedPlatform,
  facts: ReportFacts,
): Promise<Bytes> {
  const { keys, certificates, quotingEnclave } = platform;
  const signed = new Writer()
    .u16le(3)
    .u16le(ECDSA_P256)
    .u32le(0) // SGX
    .u16le(SIMULATED_PLATFORM.qe.isvSvn)
    .u16le(SIMULATED_PLATFORM.pceSvn)
    .bytes(decodeHex(INTEL_QE_VENDOR))
    .bytes(new Uint8Array(20))
    .bytes(encodeEnclaveReport(facts))
    .finish();
  const algorithm = { name: 'ECDSA', hash: 'SHA-256' };
  const signature = await crypto.subtle.sign(algorithm, keys.attestation.privateKey, signed);
  const chain = encodeUtf8(pemChain(certificates.pck, certificates.platformCa, certificates.root));
  const authData = new Writer()
    .bytes(new Uint8Array(signature))
    .bytes(await pointOf(keys.attestation))
    .bytes(quotingEnclave.report)
    .bytes(quotingEnclave.signature)
    .u16le(quotingEnclave.authData.length)
    .bytes(quotingEnclave.authData)
    .u16le(PCK_CHAIN)
    .u32le(chain.length)
    .bytes(chain)
    .finish();
  return new Writer().bytes(signed).u32le(authData.length).bytes(authData).finish();
}
