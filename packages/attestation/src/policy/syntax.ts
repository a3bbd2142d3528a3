import type { ClaimValue } from './policy-claim.ts';
import type { Place } from './parsing-error.ts';
import type { FunctionName } from './functions.ts';

/** The versions of the language (spec/azure-attestation.md 4). */
export type PolicyVersion = '1.0' | '1.1' | '1.2';

/** The sections, in their order. */
export const SECTIONS = ['configurationrules', 'authorizationrules', 'issuancerules'] as const;

/** One of them. */
export type SectionName = (typeof SECTIONS)[number];

/** The properties of a claim. */
export const PROPERTIES = ['type', 'value', 'valueType', 'issuer'] as const;

/** One of them. */
export type Property = (typeof PROPERTIES)[number];

/** How a condition compares. */
export type Operator = '==' | '!=' | '<' | '<=' | '>' | '>=';

/** What yields values: a literal, a property of bound claims, or a function's result. */
export type Expression =
  | { readonly kind: 'literal'; readonly value: ClaimValue }
  | {
      readonly kind: 'property';
      /** Which condition of the rule binds the claims. */
      readonly slot: number;
      readonly property: Property;
      /** The whole set of bound claims, not one after the other (4.4). */
      readonly set: boolean;
    }
  | {
      readonly kind: 'call';
      readonly name: FunctionName;
      readonly args: readonly Expression[];
      readonly place: Place;
    };

/** What a condition asks of one property. */
export interface PropertyTest {
  readonly property: Property;
  readonly operator: Operator;
  readonly operand: Expression;
  readonly text: string;
}

/** A condition of a rule. */
export interface Condition {
  readonly negated: boolean;
  readonly identifier: string | undefined;
  readonly tests: readonly PropertyTest[];
  /** The one type that can match, where the condition names it by `==` and a literal. */
  readonly type: string | undefined;
  readonly text: string;
}

/** The claim that an action makes. */
export interface ClaimTemplate {
  readonly type: Expression;
  readonly value: Expression;
  readonly valueType?: Expression;
  readonly issuer?: Expression;
}

/** What a rule does. */
export type Action =
  | { readonly verb: 'permit' | 'deny' }
  | {
      readonly verb: 'add' | 'issue' | 'issueproperty';
      /** The slot of the claims that are copied, or how the claim is made. */
      readonly claim: number | ClaimTemplate;
    };

/** A rule of a section. */
export interface Rule {
  readonly section: SectionName;
  readonly conditions: readonly Condition[];
  readonly action: Action;
  /** The slots whose claims are taken one by one; the others' are taken as a set. */
  readonly iterated: ReadonlySet<number>;
  readonly line: number;
  readonly column: number;
  /** As it stands in the policy. */
  readonly text: string;
}

/** A policy as written. */
export interface PolicySyntax {
  readonly version: PolicyVersion;
  /** Absent sections are empty. */
  readonly rules: Readonly<Record<SectionName, readonly Rule[]>>;
}
