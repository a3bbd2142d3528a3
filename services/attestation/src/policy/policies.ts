import type { JsonObject } from '@cloister/bytes';
import { AzureError } from '../azure-error.ts';
import type { PolicyType } from '../kinds.ts';
import type { StateStore } from '../state/state-store.ts';
import { DEFAULT_POLICIES, unsecuredPolicy } from './default-policies.ts';
import { readManagementJws } from './management-jws.ts';
import { readPolicyPayload, readPolicyText, type PolicyDocument } from './policy-document.ts';

/** The policy in force for a type of evidence. */
export interface ActivePolicy extends PolicyDocument {
  /** Who signed it; undefined of one that nobody signed. */
  readonly signer: JsonObject | undefined;
}

/** The policies of this instance. */
export interface Policies {
  /** AzureError where there is none, and none by default. */
  active(type: PolicyType): Promise<ActivePolicy>;
  /** The JWS as it was set, or the default policy as an unsecured one. */
  stored(type: PolicyType): Promise<{ readonly jws: string; readonly version: number }>;
}

/** Reads policies from the state, and compiles each version of one once. */
export function createPolicies(state: StateStore): Policies {
  const compiled = new Map<PolicyType, { version: number; policy: Promise<ActivePolicy> }>();
  return {
    active: async (type) => {
      const { version, value } = await state.policy(type);
      const known = compiled.get(type);
      if (known?.version === version) return known.policy;
      const policy = value === undefined ? defaultPolicy(type) : readStored(value);
      compiled.set(type, { version, policy });
      return policy;
    },
    stored: async (type) => {
      const { version, value } = await state.policy(type);
      return { jws: value ?? unsecuredPolicy(DEFAULT_POLICIES[type]), version };
    },
  };
}

async function readStored(jws: string): Promise<ActivePolicy> {
  const { payload, signer } = await readManagementJws(jws);
  return { ...readPolicyPayload(payload), signer: signer?.jwk };
}

async function defaultPolicy(type: PolicyType): Promise<ActivePolicy> {
  const text = DEFAULT_POLICIES[type];
  if (text === undefined)
    throw new AzureError('InvalidOperation', `No policy is configured for ${type}`, 'no_policy');
  return { ...readPolicyText(text), signer: undefined };
}
