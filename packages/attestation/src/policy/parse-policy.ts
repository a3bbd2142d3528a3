import { parseRule, type RuleContext } from './parse-rule.ts';
import { scanPolicy } from './scan-policy.ts';
import {
  SECTIONS,
  type PolicySyntax,
  type PolicyVersion,
  type Rule,
  type SectionName,
} from './syntax.ts';
import { TokenStream } from './token-stream.ts';

/** How many rules a policy may have (spec/azure-attestation.md 4.7). */
const MAX_RULES = 256;
const VERSIONS: readonly PolicyVersion[] = ['1.0', '1.1', '1.2'];

/**
 * Reads a policy of version 1.0, 1.1 or 1.2 (spec/azure-attestation.md 4.1). Throws
 * PolicyParsingError, which says where, and what was expected. `checkQuery` is asked about each
 * JMESPath query that stands in the text, and names the problem it has with it.
 */
export function parsePolicy(
  text: string,
  checkQuery: (query: string) => string | undefined = () => undefined,
): PolicySyntax {
  const tokens = new TokenStream(scanPolicy(text));
  const version = tokens.within('versionInfo', () => parseVersion(tokens));
  const rules = new Map<SectionName, readonly Rule[]>();
  let count = 0;
  while (tokens.next.kind !== 'end') {
    const section = parseSectionName(tokens, version, [...rules.keys()]);
    const context = { tokens, text, section, version, checkQuery };
    rules.set(
      section,
      tokens.within(section, () => {
        const read = parseRules(context, MAX_RULES - count);
        count += read.length;
        return read;
      }),
    );
  }
  return {
    version,
    rules: {
      configurationrules: rules.get('configurationrules') ?? [],
      authorizationrules: rules.get('authorizationrules') ?? [],
      issuancerules: rules.get('issuancerules') ?? [],
    },
  };
}

function parseVersion(tokens: TokenStream): PolicyVersion {
  const word = tokens.next;
  if (word.kind !== 'name' || word.text.toLowerCase() !== 'version')
    throw tokens.unexpected("'version'");
  tokens.take();
  tokens.expect('=');
  const major = tokens.expectKind('integer');
  tokens.expect('.');
  const minor = tokens.expectKind('integer');
  const version = VERSIONS.find((known) => known === `${major.text}.${minor.text}`);
  if (version === undefined) throw tokens.wrong('the version is 1.0, 1.1 or 1.2', major);
  tokens.expect(';');
  return version;
}

/** Each section once, and in their order; configuration from 1.1 on. */
function parseSectionName(
  tokens: TokenStream,
  version: PolicyVersion,
  before: readonly SectionName[],
): SectionName {
  const { kind, text } = tokens.next;
  const section = SECTIONS.find((name) => name === text.toLowerCase());
  const last = before.at(-1);
  const allowed = SECTIONS.slice(last === undefined ? 0 : SECTIONS.indexOf(last) + 1).filter(
    (name) => name !== 'configurationrules' || version !== '1.0',
  );
  if (kind !== 'name' || section === undefined)
    throw tokens.unexpected([...allowed.map((name) => `'${name}'`), '<EOF>'].join(', '));
  if (before.includes(section)) throw tokens.wrong(`the section ${section} is there twice`);
  if (section === 'configurationrules' && version === '1.0')
    throw tokens.wrong('version 1.0 has no configurationrules');
  if (!allowed.includes(section))
    throw tokens.wrong(`the section ${section} stands after ${last ?? ''}`);
  tokens.take();
  return section;
}

function parseRules(context: RuleContext, most: number): Rule[] {
  const { tokens } = context;
  const rules: Rule[] = [];
  tokens.expect('{');
  while (!tokens.sees('}')) {
    if (rules.length >= most) throw tokens.wrong(`the policy has more than ${MAX_RULES} rules`);
    rules.push(tokens.within('rule', () => parseRule(context)));
  }
  tokens.expect('}');
  tokens.expect(';');
  return rules;
}
