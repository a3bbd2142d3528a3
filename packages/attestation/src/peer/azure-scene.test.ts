/**
 * Confidential VMs of Azure in the scene: AMD's part is forged under a root of our own, which the
 * hash that these tests hand in takes for AMD's. Tests spoil one thing. Not a test of its own.
 */
import assert from 'node:assert/strict';
import { encodeHex, type Bytes, type JsonObject } from '@cloister/bytes';
import { sha256 } from '@cloister/crypto';
import { encodeAzureEvidence } from '../azure-hcl/azure-evidence.ts';
import { forgeHcl, type HclEdits } from '../azure-hcl/forge.test.ts';
import type { EvidenceEnvelope } from '../evidence/envelope.ts';
import type { EvidencePrimitives } from '../evidence/verify-evidence.ts';
import { WEB_CRYPTO } from '../intel/evidence-crypto.ts';
import { CODE_PCRS } from '../manifest/code-pcrs.ts';
import type { TrustedManifest } from '../manifest/trusted-manifest.ts';
import { AMD_ROOTS } from '../snp/amd-roots.ts';
import { encodeSnpEndorsements } from '../snp/endorsements.ts';
import { arkKey, AT, spkiOf } from '../snp/forge.test.ts';
import { WEB_SNP_CRYPTO } from '../snp/snp-crypto.ts';
import type { Verification } from '../verification.ts';
import { createStage, NONCE, type Changes, type Stage } from './scene.test.ts';
import type { VerifiedPeer } from './verified-peer.ts';
import { verifyPeer, type PeerTrust } from './verify-peer.ts';

/** What the guest booted; each register another value. */
export const PCRS: readonly Bytes[] = Array.from({ length: 24 }, (_, i) =>
  new Uint8Array(32).fill(0x40 + i),
);
const ALL = PCRS.map((_, i) => i);
const MEASUREMENT = 'aa'.repeat(48);

const ourArk = encodeHex(await sha256(await spkiOf(arkKey)));
const milan = AMD_ROOTS.find(({ product }) => product === 'Milan')?.spkiSha256 ?? '';
/** WebCrypto, but that the forged ARK has the digest of AMD's. */
export const AS_IF_AMD: EvidencePrimitives = {
  ...WEB_CRYPTO,
  ...WEB_SNP_CRYPTO,
  async sha256Hex(data) {
    const digest = await WEB_CRYPTO.sha256Hex(data);
    return digest === ourArk ? milan : digest;
  },
};

export const IDENTITY = {
  tee: 'azure-cvm',
  paravisor: {
    tee: 'snp',
    measurement: [MEASUREMENT],
    hostData: ['00'.repeat(32)],
    product: 'Milan',
    minTcb: { bootloader: 4, tee: 1, snp: 24, microcode: 220 },
  },
  pcrs: Object.fromEntries(
    CODE_PCRS.map((i) => [i, encodeHex(PCRS[Number(i)] ?? PCRS[0] ?? NONCE)]),
  ),
  isolation: 'vm',
} satisfies JsonObject;

/** What a test spoils: of the guest's evidence, of its runtime data, of the finished envelope. */
export interface AzureChanges extends Omit<HclEdits, 'qualifyingData'> {
  readonly runtime?: Changes['runtime'];
  /** In the place of SHA-256 of the runtime data. */
  readonly carried?: (runtimeData: Bytes) => Bytes | Promise<Bytes>;
}

/** A stage on which `records` is a confidential VM of Azure. */
export interface AzureStage {
  readonly stage: Stage;
  readonly manifest: TrustedManifest;
  readonly change: (changes?: AzureChanges) => Promise<EvidenceEnvelope>;
  readonly verify: (
    envelope: EvidenceEnvelope,
    changes?: Partial<PeerTrust>,
  ) => Promise<Verification<VerifiedPeer>>;
}

/** Members of a manifest under which hardware counts, and these identities of `records`. */
export function agreementOf(anyOf: readonly JsonObject[], issuers: JsonObject[] = []): JsonObject {
  return {
    profile: 'production',
    evidence: { roots: 'hardware', platforms: 'any' },
    issuers,
    services: { records: { identity: { anyOf: [...anyOf] } } },
  };
}

export async function createAzureStage(issuers: JsonObject[] = []): Promise<AzureStage> {
  const stage = await createStage();
  const manifest = await stage.manifestWith(agreementOf([IDENTITY], issuers));
  return {
    stage,
    manifest,
    async change(changes = {}) {
      const { runtime = {}, carried = sha256, ...edits } = changes;
      const { runtimeData } = await stage.change({ manifests: [manifest.id], runtime });
      const { blob, options } = await forgeHcl({
        quoted: { pcrs: PCRS, selected: ALL },
        ...edits,
        qualifyingData: await carried(runtimeData),
      });
      const { hardware, tpmQuote } = options;
      assert.ok(hardware.tee === 'snp' && hardware.ask && hardware.ark && tpmQuote);
      const { vek, ask, ark } = hardware;
      return {
        format: 'azure-hcl',
        evidence: encodeAzureEvidence({ hclReport: blob, tpmQuote }),
        runtimeData,
        endorsements: encodeSnpEndorsements({ vek, ask, ark }),
        tokens: [],
      };
    },
    verify: (envelope, changes = {}) =>
      verifyPeer(envelope, {
        manifest,
        service: 'records',
        nonce: NONCE,
        at: AT,
        crypto: AS_IF_AMD,
        ...changes,
      }),
  };
}
