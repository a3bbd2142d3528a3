import type { Bytes } from '@cloister/bytes';
import { decodeBase64url, encodeBase64url, equalBytes } from '@cloister/bytes';
import { CheckList } from '../check-list.ts';
import type { TrustedManifest } from '../manifest/trusted-manifest.ts';
import type { Shape } from '../shape.ts';
import type { Verification } from '../verification.ts';
import { checkStatement, signStatement } from './broker-statement.ts';

/** What a broker says of a monotonic counter (spec/key-broker.md 5.2). */
export interface CounterReceipt {
  readonly deployment: string;
  readonly party: string;
  readonly manifest: string;
  readonly name: string;
  /** 0 until it was first set. */
  readonly value: number;
  /** The digest that was anchored with the value, lower hex; zeros at value 0. */
  readonly digest: string;
  /** Seconds since 1970. */
  readonly time: number;
  /** The asker's: without its own nonce in it, a receipt may be old. */
  readonly nonce?: Bytes;
}

const TYP = 'cloister-counter+jws';

/** Signs a receipt with the broker key that the manifest names. */
export function signCounterReceipt(receipt: CounterReceipt, key: CryptoKey): Promise<string> {
  const { deployment, party, manifest, name, value, digest, time, nonce } = receipt;
  const payload = {
    deployment,
    party,
    manifest,
    name,
    value,
    digest,
    time,
    ...(nonce === undefined ? {} : { nonce: encodeBase64url(nonce) }),
  };
  return signStatement(TYP, payload, key);
}

/** Checks a receipt: by the broker of the counter's owner, of this counter, over this nonce. */
export async function verifyCounterReceipt(
  jws: string,
  options: {
    readonly manifest: TrustedManifest;
    readonly name: string;
    /** Undefined only where the receipt is kept as a proof of the past. */
    readonly nonce: Bytes | undefined;
  },
): Promise<Verification<CounterReceipt>> {
  const { manifest, name, nonce } = options;
  const list = new CheckList();
  const { counters = {} } = manifest.manifest;
  const owner = Object.hasOwn(counters, name) ? counters[name]?.owner : undefined;
  const named = owner !== undefined;
  if (!list.expect('counter named in the manifest', named, 'counter_unknown') || !owner)
    return list.refusal();
  const receipt = await checkStatement(list, jws, { manifest, party: owner, typ: TYP, read });
  if (receipt === undefined) return list.refusal();
  const here =
    receipt.deployment === manifest.manifest.deployment &&
    receipt.party === owner &&
    receipt.name === name;
  list.expect('receipt of this counter', here, 'counter_mismatch');
  list.expect('under this manifest', receipt.manifest === manifest.id, 'manifest_mismatch');
  if (nonce === undefined) list.skip('answer to our nonce', 'none given: this receipt may be old');
  else {
    const fresh = receipt.nonce !== undefined && equalBytes(receipt.nonce, nonce);
    list.expect('answer to our nonce', fresh, 'nonce_mismatch');
  }
  return list.result(receipt);
}

function read(payload: Shape): CounterReceipt {
  const members = payload.members(
    ['deployment', 'party', 'manifest', 'name', 'value', 'digest', 'time'],
    ['nonce'],
  );
  const nonce = members.maybe('nonce')?.string(/^[\w-]{22,86}$/u);
  return {
    deployment: members.get('deployment').string(),
    party: members.get('party').string(),
    manifest: members.get('manifest').hex(32),
    name: members.get('name').string(),
    value: members.get('value').integer(),
    digest: members.get('digest').hex(32),
    time: members.get('time').integer(),
    ...(nonce === undefined ? {} : { nonce: decodeBase64url(nonce) }),
  };
}
