import type { VerifiedPeer } from '@cloister/attestation';
import {
  type InferAnswer,
  type InferenceClient,
  type Receipt,
  verifyReceipt,
} from '@cloister/client';
import { findingScore, type ModelContract } from '@cloister/clinical';
import { type HeatMap, heatMapOf } from './heat-map.ts';
import type { JobAgreement } from './job-agreement.ts';
import { JobStopped } from './job-stopped.ts';
import { type AgreedModel, callProvider } from './provider.ts';

/** A model's answer whose receipt was verified. */
export interface ModelAnswer {
  readonly probabilities: Readonly<Record<string, number>>;
  readonly score: number;
  readonly above: boolean;
  /** Only where the score is above the threshold. */
  readonly heatMap?: HeatMap;
  readonly receipt: string;
  readonly facts: Receipt;
}

/** What is asked of whom. */
export interface Question {
  readonly peer: VerifiedPeer;
  readonly client: InferenceClient;
  readonly model: AgreedModel;
  readonly contract: ModelContract;
  readonly tensor: Float32Array;
  readonly requestId: string;
  readonly agreement: JobAgreement;
  readonly now: () => Date;
}

/**
 * Sends the pixels, and gives the answer when the receipt shows that the very code that was
 * verified gave this answer to these pixels (design 3.5).
 */
export async function askModel(question: Question): Promise<ModelAnswer> {
  const { peer, client, model, contract, requestId } = question;
  const request = {
    model: model.name,
    version: model.version,
    tensor: question.tensor,
    shape: contract.input.shape,
    inputName: contract.input.name,
    requestId,
    evidenceDigest: peer.evidenceDigest,
  };
  const answer = await callProvider(() => client.infer(request));
  const verdict = await verifyReceipt(answer.receipt, {
    sig: peer.sig,
    model: model.name,
    modelDigest: model.digest,
    inputDigest: answer.inputDigest,
    outputDigest: answer.outputDigest,
    requestId,
    manifest: question.agreement.ids(),
    simulated: peer.simulated,
    evidenceDigest: peer.evidenceDigest,
    at: question.now(),
  });
  if (!verdict.ok) throw new JobStopped('receipt-invalid', verdict.code);
  return { ...readOutputs(contract, answer), receipt: answer.receipt, facts: verdict.claims };
}

/** Reads the outputs as the contract has them; a signed answer can still be nonsense. */
function readOutputs(
  contract: ModelContract,
  { outputs }: InferAnswer,
): Omit<ModelAnswer, 'receipt' | 'facts'> {
  for (const [name, { shape }] of Object.entries(contract.outputs))
    if (outputs[name]?.shape.join() !== shape.join())
      throw new JobStopped('answer-invalid', 'shape of an output');
  const { labels = [] } = contract.outputs['probabilities'] ?? {};
  const values = Array.from(outputs['probabilities']?.data ?? []);
  const sum = values.reduce((total, value) => total + value, 0);
  if (values.some((p) => !(p >= 0 && p <= 1)) || Math.abs(sum - 1) > 1e-3)
    throw new JobStopped('answer-invalid', 'probabilities');
  if (!Object.values(outputs).every(({ data }) => data.every(Number.isFinite)))
    throw new JobStopped('answer-invalid', 'an output is not finite');
  const { threshold, heatMap: agreed } = contract.finding;
  const score = findingScore(contract, values);
  const above = score >= threshold;
  const heatMap =
    above || agreed?.onlyAboveThreshold === false ? heatMapOf(contract, outputs) : undefined;
  return {
    probabilities: Object.fromEntries(labels.map((label, i) => [label, values[i] ?? 0])),
    score,
    above,
    ...(heatMap === undefined ? {} : { heatMap }),
  };
}
