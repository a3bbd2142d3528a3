import { encodeHex, encodeUtf8 } from '@cloister/bytes';
import { sha256 } from '@cloister/crypto';
import { CheckList } from '../check-list.ts';
import type { TrustedManifest } from '../manifest/trusted-manifest.ts';
import type { Shape } from '../shape.ts';
import type { Verification } from '../verification.ts';
import { checkStatement, peekStatement, signStatement } from './broker-statement.ts';

/** What a broker says every minute (design 2.1, rule 8): what holds now, and how long its log is. */
export interface Head {
  readonly deployment: string;
  /** Whose broker speaks. */
  readonly party: string;
  /** Id of the manifest in force. */
  readonly manifest: string;
  readonly serial: number;
  /** Seconds since 1970. */
  readonly time: number;
  readonly logSize: number;
  /** Merkle root of the audit log (RFC 9162), lower hex. */
  readonly logRoot: string;
}

const VERIFIED: unique symbol = Symbol('made by verifyHead');

/** A head whose signature was verified: only `verifyHead` makes one. */
export interface VerifiedHead extends Head {
  readonly [VERIFIED]: true;
  readonly jws: string;
  /** What stands for it in runtime data: SHA-256 of the compact JWS, lower hex. */
  readonly hash: string;
}

const TYP = 'cloister-head+jws';

/** Signs a head with the broker key that the manifest names. */
export function signHead(head: Head, key: CryptoKey): Promise<string> {
  const { deployment, party, manifest, serial, time, logSize, logRoot } = head;
  const payload = { deployment, party, manifest, serial, time, logSize, logRoot };
  return signStatement(TYP, payload, key);
}

/** The hash by which runtime data name a head (design 2.2). */
export async function headHash(jws: string): Promise<string> {
  return encodeHex(await sha256(encodeUtf8(jws)));
}

/** Whose head this claims to be: nothing of it is verified. MalformedError where it is none. */
export function partyOfHead(jws: string): string {
  return peekStatement(jws, TYP, readHead).party;
}

/**
 * Checks that the broker of a party, by the key that the manifest names, signed this head of the
 * manifest's deployment. Whether it is recent, and names this manifest, `checkHead` says.
 */
export async function verifyHead(
  jws: string,
  { manifest, party }: { readonly manifest: TrustedManifest; readonly party: string },
): Promise<Verification<VerifiedHead>> {
  const list = new CheckList();
  const head = await checkStatement(list, jws, { manifest, party, typ: TYP, read: readHead });
  if (head === undefined) return list.refusal();
  list.expect('head of this party', head.party === party, 'head_party');
  const own = head.deployment === manifest.manifest.deployment;
  list.expect('head of this deployment', own, 'head_deployment');
  return list.result(
    Object.freeze({ [VERIFIED]: true as const, ...head, jws, hash: await headHash(jws) }),
  );
}

function readHead(payload: Shape): Head {
  const members = payload.members([
    'deployment',
    'party',
    'manifest',
    'serial',
    'time',
    'logSize',
    'logRoot',
  ]);
  return {
    deployment: members.get('deployment').string(),
    party: members.get('party').string(),
    manifest: members.get('manifest').hex(32),
    serial: members.get('serial').integer(1),
    time: members.get('time').integer(),
    logSize: members.get('logSize').integer(),
    logRoot: members.get('logRoot').hex(32),
  };
}
