import { type TrustedManifest, type Verification, type VerifiedPeer } from '@cloister/attestation';
import { encodeHex, encodeUtf8, MalformedError } from '@cloister/bytes';
import { ChannelError } from '@cloister/channel';
import {
  ClientError,
  type ClientErrorCode,
  type InferenceClient,
  UNREACHABLE_CODES,
} from '@cloister/client';
import { type ModelContract, parseModelContract } from '@cloister/clinical';
import { sha256 } from '@cloister/crypto';
import { UnavailableError } from '@cloister/service';
import type { PeerFacts } from '../fhir/audit-event.ts';
import { type JobReason, JobStopped } from './job-stopped.ts';

/** How a job reaches providers: by address; the manifest decides about trust. */
export interface Providers {
  /** Addresses of inference services, all of them equal. */
  readonly urls: readonly string[];
  /** Asks for evidence with a nonce of our own; verified by the library and by token. */
  readonly verify: (url: string) => Promise<Verification<VerifiedPeer>>;
  /** A client in a channel to the verified peer, that signs its calls. */
  readonly open: (peer: VerifiedPeer, url: string) => InferenceClient;
}

/** The model that the parties agreed on. */
export interface AgreedModel {
  readonly name: string;
  readonly version: string;
  readonly digest: string;
  readonly contract: string;
}

/** A provider that was verified, and serves the agreed model. */
export interface TrustedProvider {
  readonly peer: VerifiedPeer;
  readonly client: InferenceClient;
}

/** What a verification found, for the audit log. */
export interface Finding {
  readonly facts: PeerFacts;
  readonly accepted: boolean;
}

/** The newest version of the one model of the manifest, or of the one asked for. */
export function agreedModel({ manifest }: TrustedManifest, asked: string | undefined): AgreedModel {
  const models = Object.entries(manifest.models ?? {});
  const [name, versions] = models.find(([candidate]) => candidate === asked) ?? models[0] ?? [];
  const newest = Object.entries(versions ?? {}).toSorted(([a], [b]) =>
    b.localeCompare(a, 'en', { numeric: true }),
  )[0];
  if (name === undefined || newest === undefined || (asked !== undefined && asked !== name))
    throw new JobStopped('peer-not-trusted', 'the manifest names no such model');
  const [version, { digest, contract }] = newest;
  return { name, version, digest, contract };
}

/**
 * Finds a provider that may be trusted, beginning with another one each time. One that cannot be
 * reached is passed over; where none is left the job stops, and says whether that was for want of
 * trust or of an answer.
 */
export async function findProvider(
  providers: Providers,
  manifest: TrustedManifest,
  model: AgreedModel,
  start: number,
  onFinding: (finding: Finding) => void,
): Promise<TrustedProvider> {
  const { urls, verify, open } = providers;
  let distrusted: string | undefined;
  for (let i = 0; i < urls.length; i++) {
    const url = urls[(start + i) % urls.length] ?? '';
    const verdict = await verify(url);
    const code = verdict.ok ? lackOf(verdict.claims, model) : verdict.code;
    const facts = verdict.ok ? factsOf(verdict.claims, model) : { manifest: manifest.id };
    if (code !== undefined && UNREACHABLE_CODES.includes(code)) continue;
    onFinding({
      facts: { ...facts, ...(code === undefined ? {} : { code }) },
      accepted: code === undefined,
    });
    if (verdict.ok && code === undefined)
      return { peer: verdict.claims, client: open(verdict.claims, url) };
    distrusted ??= code;
  }
  if (distrusted !== undefined) throw new JobStopped('peer-not-trusted', distrusted);
  throw new JobStopped('provider-unavailable');
}

/** Whether a verified peer serves another model than the agreed one (design 2.1, rule 3). */
function lackOf(peer: VerifiedPeer, model: AgreedModel): string | undefined {
  const serves = peer.models.some(
    ({ name, version, digest }) =>
      name === model.name && version === model.version && digest === model.digest,
  );
  return serves ? undefined : 'model_not_agreed';
}

function factsOf(peer: VerifiedPeer, model: AgreedModel): PeerFacts {
  return {
    manifest: peer.manifestId,
    evidenceDigest: peer.evidenceDigest,
    measurement: measurementOf(peer),
    modelDigest: model.digest,
    simulated: peer.simulated,
  };
}

/** What identifies the code of a peer, by the kind of its evidence. */
export function measurementOf({ claims }: VerifiedPeer): string {
  if (claims.tee === 'sgx') return claims.mrenclave;
  // The boot loader or unified kernel image of a confidential VM of Azure.
  if (claims.tee === 'azure-cvm') return claims.pcrs['4'] ?? '';
  return claims.tee === 'tdx' ? claims.mrtd : claims.measurement;
}

/**
 * The model's contract, by the first call that proves who we are. It counts only where its digest
 * is the one in the manifest.
 */
export async function fetchContract(
  client: InferenceClient,
  model: AgreedModel,
): Promise<ModelContract> {
  const text = await callProvider(() => client.contract(model.name, model.version));
  if (encodeHex(await sha256(encodeUtf8(text))) !== model.contract)
    throw new JobStopped('peer-not-trusted', 'contract_not_agreed');
  return parseModelContract(text);
}

const REASONS = new Map<ClientErrorCode, JobReason>([
  ['unauthorized', 'caller-not-admitted'],
  ['forbidden', 'caller-not-admitted'],
  ['invalid', 'input-refused'],
  ['too_large', 'input-refused'],
  ['malformed_answer', 'answer-invalid'],
  ['answer_too_large', 'answer-invalid'],
]);

/** Runs a call to a provider; what fails in it stops the job for the reason that it means. */
export async function callProvider<T>(call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (error) {
    if (error instanceof ClientError) {
      const reason = REASONS.get(error.code) ?? 'provider-unavailable';
      throw new JobStopped(reason, error.issues[0]?.code ?? error.code, { cause: error });
    }
    if (error instanceof MalformedError)
      throw new JobStopped('answer-invalid', error.where, { cause: error });
    if (error instanceof ChannelError || error instanceof UnavailableError)
      throw new JobStopped('provider-unavailable', error.code, { cause: error });
    throw error;
  }
}
