import {
  BROKER_ANSWER,
  type TrustedManifest,
  type Verification,
  type VerifiedPeer,
} from '@cloister/attestation';
import {
  canonicalJson,
  decodeUtf8,
  encodeUtf8,
  isJsonObject,
  MalformedError,
  parseJsonObject,
  type Bytes,
  type JsonObject,
} from '@cloister/bytes';
import { createChannel, type CallSigner, type ChannelFetch, type Fetch } from '@cloister/channel';
import type { HpkePrimitives } from '@cloister/crypto';
import { ClientError } from './client-error.ts';
import { exchange, expectStatus, jsonOf } from './exchange.ts';
import { verifyService } from './verify-service.ts';

/** Where a broker is, and by what it is known. */
export interface BrokerAddress {
  /** An address only: it decides nothing. */
  readonly baseUrl: string;
  readonly manifest: TrustedManifest;
  readonly transport: Fetch;
  readonly now: () => Date;
  readonly random: (length: number) => Bytes;
  /** How a service proves who calls (design 5): needed for counters, rotation and destruction. */
  readonly signCall?: CallSigner | undefined;
  /** WebCrypto unless given; in Node `nodeChannelPrimitives()`. */
  readonly primitives?: HpkePrimitives | undefined;
}

/** What a broker said no with: its code, the finer reason, the receipt of who came first. */
export interface BrokerRefusal {
  readonly code: string;
  readonly status: number;
  readonly body: JsonObject;
}

const SERVICE = 'key-broker';
const LIMIT = 4 << 20;

/**
 * The channel to a broker that was verified: code that the manifest admits as `key-broker`, by this
 * manifest. Whose broker it is, its signatures say: genuine code with foreign keys releases nothing
 * that `openReleasedSecret` takes.
 */
export class BrokerChannel {
  readonly #address: BrokerAddress;
  #fetch: ChannelFetch | undefined;

  constructor(address: BrokerAddress) {
    this.#address = address;
  }

  /** Verifies the broker, unless that was done; the checks say why it was refused. */
  async open(): Promise<Verification<undefined>> {
    if (this.#fetch !== undefined) return { ok: true, claims: undefined, checks: [] };
    const verdict = await this.#verify();
    if (!verdict.ok) return verdict;
    const { baseUrl, manifest, transport, now, random, signCall, primitives } = this.#address;
    this.#fetch = createChannel({
      peer: verdict.claims,
      url: `${baseUrl}/.well-known/ohttp-gateway`,
      transport,
      now,
      random,
      kems: manifest.manifest.services[SERVICE]?.config?.kems ?? ['x-wing'],
      ...(signCall === undefined ? {} : { signCall }),
      ...(primitives === undefined ? {} : { primitives }),
      onStaleKey: async () => {
        const again = await this.#verify();
        if (!again.ok) throw new ClientError('refused', `key broker: ${again.code}`);
        return again.claims;
      },
    });
    return { ok: true, claims: undefined, checks: verdict.checks };
  }

  /** One call through the channel: its JSON, or what the broker refused with. */
  async call(
    method: 'GET' | 'POST' | 'PUT' | 'DELETE',
    path: string,
    body?: JsonObject,
  ): Promise<JsonObject | BrokerRefusal> {
    const opened = await this.open();
    if (!opened.ok || this.#fetch === undefined)
      throw new ClientError('refused', `key broker: ${opened.ok ? 'closed' : opened.code}`);
    const request = new Request(`https://${SERVICE}${path}`, {
      method,
      ...(body === undefined
        ? {}
        : {
            headers: { 'content-type': 'application/json' },
            body: encodeUtf8(canonicalJson(body)),
          }),
    });
    const channel = this.#fetch;
    // What is said to a broker changes nothing, or names the state that it changes.
    const fetch: Fetch = (one) => channel(one, { repeatable: true });
    const answer = await exchange(fetch, request, { where: 'key broker', limit: LIMIT });
    if (answer.status === 204) return {};
    if (answer.status >= 200 && answer.status < 300) return jsonOf(answer, 'key broker');
    const refusal = readRefusal(answer.status, answer.body);
    if (refusal === undefined) expectStatus(answer, 'key broker', 200);
    const { code, status, body: problem } = refusal ?? { code: 'refused', status: 0, body: {} };
    // Not now, says the broker: sealed, behind its witness, without its store. A lease bridges that.
    if (status >= 500)
      throw new ClientError('unavailable', 'key broker', { status, issues: [{ code }] });
    return { code, status, body: problem };
  }

  #verify(): Promise<Verification<VerifiedPeer>> {
    const { baseUrl, manifest, transport, now, random } = this.#address;
    return verifyService({
      baseUrl,
      service: SERVICE,
      manifest,
      transport,
      now,
      random,
      requireToken: false,
    });
  }
}

/** Whether an answer is a refusal. */
export function isRefusal(answer: JsonObject | BrokerRefusal): answer is BrokerRefusal {
  return typeof answer['status'] === 'number' && isJsonObject(answer['body']);
}

/** A refusal as a verification that failed, with the checks that the broker listed. */
export function refusedVerification<T>(refusal: BrokerRefusal): Verification<T> {
  return {
    ok: false,
    code: refusal.code,
    checks: [{ check: BROKER_ANSWER, outcome: 'failed', code: refusal.code }],
  };
}

/** The problem of a refusal (RFC 9457); undefined where the answer is none. */
function readRefusal(status: number, body: Uint8Array): BrokerRefusal | undefined {
  try {
    const problem = parseJsonObject(decodeUtf8(body, 'problem'), 'problem');
    const { type, reason } = problem;
    if (typeof type !== 'string') return undefined;
    const code = typeof reason === 'string' ? reason : type.replace(/^urn:cloister:/, '');
    return { code, status, body: problem };
  } catch (error) {
    if (error instanceof MalformedError) return undefined;
    throw error;
  }
}
