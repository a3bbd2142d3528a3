import { MalformedError, type Bytes } from '@cloister/bytes';
import {
  encodeEnvelope,
  type Check,
  type EvidenceEnvelope,
  type TrustedManifest,
  type Verification,
  type VerifiedPeer,
} from '@cloister/attestation';
import type { Fetch } from '@cloister/channel';
import { UNREACHABLE_CODES, verifyService, type ManifestFollower } from '@cloister/client';
import { followAgreement, openAgreement, type KeptManifests } from './agreement.ts';
import { questionsOf, type GateReport } from './gate-report.ts';
import { measurementOf } from './measurement.ts';
import type { Pins } from './pins.ts';
import { parseSettings, type Settings } from './settings.ts';
import { HeadWatch, namesBroker, vaultHost, type Heads } from './take-heads.ts';

/** What the gate works with: everything that is not computed comes in from outside. */
export interface GateMeans {
  /** The pins of the build; undefined in a build without them. */
  readonly pins: Pins | undefined;
  /** The text of `cloister.json`. */
  readonly loadSettings: () => Promise<string>;
  /** The signed manifests of earlier visits. */
  readonly kept: KeptManifests;
  readonly transport: Fetch;
  readonly now: () => Date;
  readonly random: (length: number) => Bytes;
}

/** What a visit remembers from one run of the gate to the next: neither manifest nor heads go back. */
export interface GateMemory {
  /** The text of `cloister.json`: addresses that were good once do where it cannot be loaded. */
  settings?: string;
  follower?: ManifestFollower;
  watch?: HeadWatch;
}

/** A report, and what a connection needs where it passed. */
export interface GateResult {
  readonly report: GateReport;
  readonly settings?: Settings;
  readonly manifest?: TrustedManifest;
}

/** What the gate shows while it works. */
export function checkingReport(now: Date): GateReport {
  return { state: 'checking', questions: questionsOf([], 'checking'), simulated: false, at: now };
}

/**
 * The trust gate (spec/clinical.md 11, S0): the manifest must be signed by the keys in this build, or
 * follow one that is, the hospital's broker must confirm that it is in force, and records must show
 * fresh evidence that it admits. Never throws for what the world did; every way out but one is a block.
 */
export async function runGate(means: GateMeans, memory: GateMemory = {}): Promise<GateResult> {
  const at = means.now();
  const checks: Check[] = [];
  const stop = (check: string, code: string, unreachable = false): GateResult => {
    checks.push({ check, outcome: 'failed', code });
    const state = unreachable ? 'unreachable' : 'blocked';
    const questions = questionsOf(checks, state);
    return { report: { state, code, questions, simulated: false, at } };
  };
  const { pins, kept, now } = means;
  if (pins === undefined) return stop('code: keys of this build', 'pins_missing');

  let text: string;
  try {
    text = await means.loadSettings();
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    if (memory.settings === undefined) return stop('code: settings', 'settings_unavailable', true);
    text = memory.settings;
  }
  let settings: Settings;
  try {
    settings = parseSettings(text);
    const options = { pins, kept, now };
    if (memory.follower === undefined) {
      const opened = await openAgreement(settings.manifestFile, options);
      checks.push(...opened.checks);
      if (!opened.ok) {
        const questions = questionsOf(checks, 'blocked');
        return { report: { state: 'blocked', code: opened.code, questions, simulated: false, at } };
      }
      memory.follower = opened.follower;
    }
    await followAgreement(memory.follower, [settings.manifestFile], options);
    memory.settings = text;
  } catch (error) {
    if (!(error instanceof MalformedError)) throw error;
    return stop(`code: ${error.where}`, 'manifest_malformed');
  }
  const { follower } = memory;
  memory.watch ??= new HeadWatch(follower, {
    pins,
    kept,
    now,
    transport: means.transport,
    broker: settings.broker,
  });
  return new Visit(means, settings, follower, memory.watch, at).ask(checks);
}

/** One question to the platform, once the agreement is known. */
class Visit {
  readonly #means: GateMeans;
  readonly #settings: Settings;
  readonly #follower: ManifestFollower;
  readonly #watch: HeadWatch;
  readonly #at: Date;
  #seen: EvidenceEnvelope | undefined;

  constructor(
    means: GateMeans,
    settings: Settings,
    follower: ManifestFollower,
    watch: HeadWatch,
    at: Date,
  ) {
    this.#means = means;
    this.#settings = settings;
    this.#follower = follower;
    this.#watch = watch;
    this.#at = at;
  }

  async ask(before: readonly Check[]): Promise<GateResult> {
    let heads = await this.#watch.take();
    if (heads.failed !== undefined) {
      const state = heads.failed === 'own_head_missing' ? 'unreachable' : 'blocked';
      return this.#refused(state, heads.failed, [...before, ...heads.checks], heads);
    }
    let verdict = await this.#verify(heads);
    // It may run by a manifest that this page has not heard of yet.
    if (
      !verdict.ok &&
      verdict.code === 'manifest_mismatch' &&
      (await this.#watch.followManifest())
    ) {
      heads = await this.#watch.take();
      verdict = await this.#verify(heads);
    }
    const checks = [...before, ...heads.checks, ...verdict.checks];
    if (!verdict.ok) {
      const unreachable = UNREACHABLE_CODES.includes(verdict.code);
      return this.#refused(unreachable ? 'unreachable' : 'blocked', verdict.code, checks, heads);
    }
    const report: GateReport = {
      ...this.#facts(heads, verdict.claims.claims),
      state: 'passed',
      questions: questionsOf(checks, 'passed'),
      peer: verdict.claims,
    };
    return { report, settings: this.#settings, manifest: this.#follower.trust };
  }

  #verify(heads: Heads): Promise<Verification<VerifiedPeer>> {
    const { trust, bridge } = this.#follower.agreement;
    this.#seen = undefined;
    return verifyService({
      baseUrl: this.#settings.records,
      service: 'records',
      manifest: trust,
      bridge,
      attestationUrl: this.#settings.attestation,
      requireToken: true,
      transport: this.#means.transport,
      now: heads.now,
      random: this.#means.random,
      judgeHeads: heads.judgeHeads,
      onEvidence: (envelope) => {
        this.#seen = envelope;
      },
    });
  }

  #refused(
    state: 'blocked' | 'unreachable',
    code: string,
    checks: readonly Check[],
    heads: Heads,
  ): GateResult {
    const questions = questionsOf(checks, state);
    return { report: { ...this.#facts(heads, this.#seen), state, code, questions } };
  }

  #facts(
    { newest }: Heads,
    source: Parameters<typeof measurementOf>[1],
  ): Omit<GateReport, 'state' | 'questions'> {
    const { id, signers, manifest } = this.#follower.trust;
    const { serial, deployment, portal, evidence, lease } = manifest;
    const seen = this.#seen;
    const vault = vaultHost(this.#follower);
    return {
      measurement: measurementOf(this.#follower.trust, source),
      manifest: {
        id,
        serial,
        deployment,
        signers,
        lease,
        hasBroker: namesBroker(this.#follower),
        ...(vault === undefined ? {} : { vault }),
        anyMachine: evidence.platforms === 'any',
        identities: manifest.services['records']?.identity.anyOf.length ?? 0,
        ...(portal === undefined ? {} : { build: portal.build }),
      },
      ...(newest === undefined ? {} : { head: newest }),
      ...(seen === undefined ? {} : { evidence: JSON.stringify(encodeEnvelope(seen), null, 2) }),
      simulated: evidence.roots !== 'hardware' || seen?.format === 'simulated-sgx-quote',
      at: this.#at,
    };
  }
}
