import type { Shape } from '../shape.ts';
import type { Issuer, Manifest } from './manifest.ts';

/** An https address; plain http only for this machine, and only under profile dev. */
const ADDRESS = /^https:\/\/[\w.-]{1,253}(?::\d{1,5})?(?:\/[\w./-]{0,512})?$/u;
const LOCAL_ADDRESS =
  /^http:\/\/(?:127\.0\.0\.1|localhost|\[::1\])(?::\d{1,5})?(?:\/[\w./-]{0,512})?$/u;

/**
 * An issuer of tokens. Where the roots are simulated it may speak of simulated evidence only,
 * and of hardware only where they are not (design 2.1, rule 9); then its policy is pinned as well
 * as its keys (rule 5).
 */
export function parseIssuer(
  shape: Shape,
  profile: Manifest['profile'],
  simulated: boolean,
): Issuer {
  const members = shape.members(['iss', 'keys', 'tee'], ['policyHash']);
  const address = members.get('iss');
  const iss = address.string();
  if (!ADDRESS.test(iss) && !(profile === 'dev' && LOCAL_ADDRESS.test(iss))) address.fail();
  const kinds = simulated ? (['simulated'] as const) : (['sgx', 'sevsnpvm', 'tdxvm'] as const);
  // A token alone admits callers, and its issuer's policy judges their TCB: it must be a named one.
  const policy = simulated ? members.maybe('policyHash') : members.get('policyHash');
  const policyHash = policy?.string(/^[\w-]{43}$/u);
  return {
    iss,
    keys: members.get('keys').distinct((key) => key.string(/^[\w-]{43}$/u), { min: 1, max: 64 }),
    ...(policyHash === undefined ? {} : { policyHash }),
    tee: members.get('tee').distinct((tee) => tee.oneOf(kinds), { min: 1 }),
  };
}
