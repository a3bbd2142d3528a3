import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { before, describe, it } from 'node:test';
import {
  decodeBase64url,
  decodeHex,
  encodeHex,
  type Bytes,
  type JsonObject,
} from '@cloister/bytes';
import { shared, sharedMissing } from '../../../../tests/shared.ts';
import { encodeAzureEvidence } from '../azure-hcl/azure-evidence.ts';
import { encodeIntelEndorsements, type EvidenceEnvelope } from '../evidence/envelope.ts';
import { verifyAzureEvidence } from '../evidence/verify-azure-evidence.ts';
import { ACCEPTABLE_TCB } from '../manifest/parse-identity.ts';
import { CODE_PCRS } from '../manifest/code-pcrs.ts';
import { encodeSnpEndorsements } from '../snp/endorsements.ts';
import { agreementOf } from './azure-scene.test.ts';
import { createStage, NONCE, type Stage } from './scene.test.ts';
import { verifyPeer } from './verify-peer.ts';

interface WholeEvidence {
  readonly hcl_report: string;
  readonly vcek?: string;
  readonly td_quote?: string;
  readonly tpm_quote: {
    readonly message: string;
    readonly signature: string;
    readonly pcrs: readonly string[];
  };
}

const file = (path: string) => new Uint8Array(readFileSync(shared(`vectors/${path}`)));
const text = (path: string) => readFileSync(shared(`vectors/${path}`), 'utf8');
/** One of the evidences is padded, others are not. */
const unpad = (coded = '') => decodeBase64url(coded.replace(/=+$/, ''));

function read(name: string): WholeEvidence {
  const json = JSON.parse(text(`azure-hcl/${name}.evidence.json`)) as {
    readonly evidence?: WholeEvidence;
  };
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the vectors have this shape
  return json.evidence ?? (json as unknown as WholeEvidence);
}

/** The evidence as a service of ours would show it. */
function containerOf({
  hcl_report: report,
  td_quote: quote,
  tpm_quote: tpm,
}: WholeEvidence): Bytes {
  return encodeAzureEvidence({
    hclReport: unpad(report),
    tpmQuote: {
      message: decodeHex(tpm.message),
      signature: decodeHex(tpm.signature),
      pcrs: tpm.pcrs.map((pcr) => decodeHex(pcr)),
    },
    ...(quote === undefined ? {} : { tdQuote: unpad(quote) }),
  });
}

const amd = (evidence: WholeEvidence): JsonObject =>
  encodeSnpEndorsements({
    vek: unpad(evidence.vcek),
    ask: file('roots/amd-SEV-Milan.der'),
    ark: file('roots/amd-ARK-Milan.der'),
  });
const intel = (): JsonObject =>
  encodeIntelEndorsements({
    tcbInfo: text('tdx/collateral/tcbinfo-90c06f000000-v3-ev18-2026-02-18.json'),
    tcbInfoChain: text('sgx/collateral/tcb-signing-2025.pem'),
    qeIdentity: text('tdx/collateral/tdqe-ev18-2026-02-18.json'),
    qeIdentityChain: text('sgx/collateral/tcb-signing-2025.pem'),
    pckCrl: file('sgx/collateral/crl-platform-2026-02-18-2009bb.der'),
    rootCaCrl: file('sgx/collateral/crl-root-2025-03-20-ad6f3f.der'),
  });

const GUESTS = [
  ['snp-coco-evidence-v1-ca2703', amd, new Date('2025-08-01T00:00:00Z')],
  ['snp-confidentialai-live-evidence-47a66c', amd, new Date('2025-08-01T00:00:00Z')],
  ['tdx-confidentialai-live-evidence-380fa1', intel, new Date(1_772_718_607_000)],
] as const;

/** The identity that fits, read from what the evidence says. */
async function identityOf(
  bare: Pick<EvidenceEnvelope, 'format' | 'evidence' | 'endorsements'>,
  at: Date,
): Promise<JsonObject> {
  const result = await verifyAzureEvidence(bare, { roots: 'hardware', at });
  assert.ok(result.ok, JSON.stringify(result.checks));
  const { hardware, pcrs } = result.claims;
  const paravisor: JsonObject =
    hardware.tee === 'snp'
      ? {
          tee: 'snp',
          measurement: [hardware.measurement],
          hostData: [hardware.hostData],
          idKeyDigest: [hardware.idKeyDigest],
          product: hardware.product,
          minTcb: { ...hardware.reportedTcb },
        }
      : {
          tee: 'tdx',
          mrtd: [hardware.mrtd],
          rtmr: [[...hardware.rtmrs]],
          mrConfigId: [hardware.mrconfigid],
          tcb: [...ACCEPTABLE_TCB],
        };
  const named = Object.fromEntries(CODE_PCRS.map((index) => [index, pcrs[index] ?? '']));
  return { tee: 'azure-cvm', paravisor, pcrs: named, isolation: 'vm' };
}

describe('verifyPeer of genuine confidential VMs of Azure', { skip: sharedMissing }, () => {
  let stage: Stage;
  before(async () => {
    stage = await createStage();
  });

  for (const [name, endorse, at] of GUESTS) {
    it(`${name}: passes every check but that the quote carries our runtime data`, async () => {
      const whole = read(name);
      const bare = {
        format: 'azure-hcl',
        evidence: containerOf(whole),
        endorsements: endorse(whole),
      } as const;
      const identity = await identityOf(bare, at);
      const manifest = await stage.manifestWith(agreementOf([identity]));
      const { runtimeData } = await stage.change({ manifests: [manifest.id] });
      const envelope: EvidenceEnvelope = { ...bare, runtimeData, tokens: [] };
      const trusted = { manifest, service: 'records', nonce: NONCE, at };
      const failedWith = async (other: EvidenceEnvelope) => {
        const { checks } = await verifyPeer(other, trusted);
        return checks.filter(({ outcome }) => outcome === 'failed').map(({ check }) => check);
      };
      assert.deepEqual(await failedWith(envelope), ['channel: report data']);
      // The registers of another boot beside the same quote.
      const { tpm_quote: quote } = whole;
      const other = { ...quote, pcrs: quote.pcrs.with(11, encodeHex(new Uint8Array(32).fill(1))) };
      const evidence = containerOf({ ...whole, tpm_quote: other });
      assert.deepEqual(await failedWith({ ...envelope, evidence }), [
        'hardware: TPM quote is over these PCRs',
      ]);
    });
  }

  it('the quote of one does not go with the report of another', async () => {
    const [[name, endorse, at], [foreign]] = GUESTS;
    const whole = read(name);
    const mixed = { ...whole, tpm_quote: read(foreign).tpm_quote };
    const bare = { format: 'azure-hcl', evidence: containerOf(mixed) } as const;
    const endorsements = endorse(whole);
    const result = await verifyAzureEvidence({ ...bare, endorsements }, { roots: 'hardware', at });
    assert.equal(result.ok ? 'ok' : result.code, 'tpm.signature');
  });
});
