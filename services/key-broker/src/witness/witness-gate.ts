import {
  verifyWitnessStatement,
  type VerifiedHead,
  type TrustedManifest,
} from '@cloister/attestation';
import { encodeBase64url, encodeHex, isJsonObject, parseJson, type Bytes } from '@cloister/bytes';
import type { Fetch } from '@cloister/channel';
import type { Journal } from '../journal/journal.ts';

/** What the witness made of this broker. */
export type WitnessStanding = 'unknown' | 'confirmed' | 'behind';

/** What the gate needs of the broker that stands before it. */
export interface GateOptions {
  readonly party: string;
  /** Where the witness answers; an address only. */
  readonly url: string | undefined;
  readonly transport: Fetch;
  readonly random: (length: number) => Bytes;
  readonly journal: () => Journal;
  readonly manifest: () => TrustedManifest;
  /** Signs a head over the log as it is now. */
  readonly head: () => Promise<{ readonly jws: string; readonly logSize: number }>;
}

/**
 * Keeps a broker from serving behind its witness (design 3.2): restored from an old disk, or a
 * second one beside the real one. At the start nothing is served before the witness has answered;
 * later an unreachable witness stops nothing, a contradicting one everything.
 */
export class WitnessGate {
  readonly #options: GateOptions;
  #standing: WitnessStanding = 'unknown';
  #seen: VerifiedHead | undefined;
  #override: readonly string[] | undefined;
  #overridden = false;

  constructor(options: GateOptions) {
    this.#options = options;
  }

  /** Whether this broker may serve. A manifest that names no witness asks for none. */
  get standing(): WitnessStanding {
    return this.#witness() === undefined ? 'confirmed' : this.#standing;
  }

  /** What the witness has seen last, where that is known. */
  get seen(): VerifiedHead | undefined {
    return this.#seen;
  }

  /** Lets the broker serve on the word of its party's quorum, and tells the witness so. */
  override(statements: readonly string[]): void {
    this.#override = statements;
    this.#overridden = true;
    this.#standing = 'confirmed';
  }

  /** Compares with the witness, and tells it the newest head. False where it did not answer. */
  async check(): Promise<boolean> {
    const witness = this.#witness();
    if (witness === undefined) return true;
    const seen = await this.#ask(witness, {});
    if (seen === undefined || seen === 'contradiction') return false;
    this.#seen = seen.head;
    if (!(await this.#contains(seen.head)) && !this.#overridden) {
      this.#standing = 'behind';
      return true;
    }
    const { jws, logSize } = await this.#options.head();
    const from = seen.head?.logSize ?? 0;
    const { tree } = this.#options.journal();
    const proof = from > 0 && from < logSize ? tree.consistencyProof(from, logSize) : [];
    const told = await this.#ask(witness, {
      head: jws,
      proof: proof.map(encodeBase64url),
      ...(this.#override === undefined ? {} : { override: [...this.#override] }),
    });
    if (told === undefined) return false;
    if (told === 'contradiction') return this.#judgeContradiction(witness);
    this.#seen = told.head;
    this.#override = undefined;
    this.#overridden = false;
    this.#standing = 'confirmed';
    return true;
  }

  /** A bare refusal proves nothing: what the witness signs, decides. */
  async #judgeContradiction(witness: string): Promise<boolean> {
    const again = await this.#ask(witness, {});
    if (again === undefined || again === 'contradiction') return false;
    this.#seen = again.head;
    if (!(await this.#contains(again.head))) this.#standing = 'behind';
    return true;
  }

  #witness(): string | undefined {
    const { parties } = this.#options.manifest().manifest;
    return parties[this.#options.party]?.broker?.witness;
  }

  /** Whether this broker's log contains what the witness saw. */
  async #contains(seen: VerifiedHead | undefined): Promise<boolean> {
    if (seen === undefined) return true;
    const journal = this.#options.journal();
    await journal.refresh();
    const { tree } = journal;
    return seen.logSize <= tree.size && encodeHex(tree.root(seen.logSize)) === seen.logRoot;
  }

  async #ask(
    witness: string,
    question: Record<string, string | string[]>,
  ): Promise<{ readonly head: VerifiedHead | undefined } | 'contradiction' | undefined> {
    const { url, party, transport, random } = this.#options;
    if (url === undefined) return undefined;
    const nonce = random(32);
    const request = new Request(`${url}/v1/witness`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ party, nonce: encodeBase64url(nonce), ...question }),
    });
    let body: unknown;
    try {
      const response = await transport(request);
      if (response.status === 409) return 'contradiction';
      if (response.status !== 200) return undefined;
      body = parseJson(await response.text(), 'witness statement', { maxLength: 1 << 16 });
    } catch {
      // Whatever it was: there is no answer that could be believed.
      return undefined;
    }
    const statement = isJsonObject(body) ? body['statement'] : undefined;
    if (typeof statement !== 'string') return undefined;
    const verdict = await verifyWitnessStatement(statement, {
      manifest: this.#options.manifest(),
      witness,
      of: party,
      nonce,
    });
    return verdict.ok ? { head: verdict.claims.seen } : undefined;
  }
}
