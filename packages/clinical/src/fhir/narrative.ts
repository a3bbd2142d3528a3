/** Elements of HTML 4 that a narrative may hold (FHIR R4, narrative 2.4.0.1). */
const ELEMENTS = new Set(
  (
    'a abbr acronym address b big blockquote br caption center cite code col colgroup dd del dfn div dl dt em font ' +
    'h1 h2 h3 h4 h5 h6 hr i img ins kbd li ol p pre q s samp small span strike strong sub sup table tbody td tfoot ' +
    'th thead tr tt u ul var'
  ).split(' '),
);
const ATTRIBUTES = new Set(
  (
    'abbr align alt bgcolor border cellhalign cellpadding cellspacing cellvalign char charoff charset cite class ' +
    'clear color colspan compact coords dir frame height href hreflang hspace id lang longdesc name noshade nowrap ' +
    'rel rev rowspan rules scope shape size span src start style summary tabindex title type valign value vspace ' +
    'width xml:lang xmlns'
  ).split(' '),
);
const EMPTY = new Set(['br', 'col', 'hr', 'img']);
const XHTML = 'http://www.w3.org/1999/xhtml';
const TAG =
  /^<(\/?)([a-zA-Z][a-zA-Z0-9]*)((?:\s+[a-zA-Z:_-]+\s*=\s*(?:"[^"<]*"|'[^'<]*'))*)\s*(\/?)>/;
const ATTRIBUTE = /([a-zA-Z:_-]+)\s*=\s*("[^"]*"|'[^']*')/g;
const ENTITY = /&(?!(?:[a-zA-Z][a-zA-Z0-9]*|#[0-9]+|#x[0-9a-fA-F]+);)/;
const MAX_DEPTH = 64;

/**
 * Why this text may not stand as narrative, or undefined. An allow-list (FHIR R4, narrative:
 * no scripts, forms, frames, objects, event handlers, external styles), over well-formed XHTML
 * whose root is one `div`.
 */
export function narrativeProblem(text: string): string | undefined {
  const open: string[] = [];
  let rest = text.trim();
  if (!/^<div[\s>/]/.test(rest)) return 'narrative: the root is not a div';
  let closed = false;
  while (rest !== '') {
    if (closed) return 'narrative: text behind the root';
    if (rest.startsWith('<!--')) {
      const end = rest.indexOf('-->');
      if (end < 0) return 'narrative: comment not closed';
      rest = rest.slice(end + 3);
      continue;
    }
    if (!rest.startsWith('<')) {
      const end = rest.indexOf('<');
      const words = end < 0 ? rest : rest.slice(0, end);
      if (ENTITY.test(words)) return 'narrative: stray ampersand';
      rest = rest.slice(words.length);
      continue;
    }
    const tag = TAG.exec(rest);
    if (tag === null) return 'narrative: not well-formed, or an attribute without a quoted value';
    const [whole, slash = '', name = '', attributes = '', self = ''] = tag;
    rest = rest.slice(whole.length);
    if (!ELEMENTS.has(name)) return 'narrative: an element that is not allowed';
    const problem = attributesProblem(attributes);
    if (problem !== undefined) return problem;
    if (slash !== '') {
      if (open.pop() !== name) return 'narrative: elements are not nested';
    } else if (self === '') {
      if (EMPTY.has(name)) return 'narrative: an empty element is not closed';
      if (open.push(name) > MAX_DEPTH) return 'narrative: nested too deep';
    }
    closed = open.length === 0;
  }
  return closed ? undefined : 'narrative: an element is not closed';
}

function attributesProblem(text: string): string | undefined {
  const names = new Set<string>();
  for (const [, name = '', quoted = ''] of text.matchAll(ATTRIBUTE)) {
    if (!ATTRIBUTES.has(name)) return 'narrative: an attribute that is not allowed';
    if (names.has(name)) return 'narrative: an attribute twice';
    names.add(name);
    const value = quoted.slice(1, -1);
    if (ENTITY.test(value)) return 'narrative: stray ampersand';
    if (name === 'xmlns' && value !== XHTML) return 'narrative: another namespace';
    if (['href', 'src', 'cite', 'longdesc'].includes(name) && !isHarmlessUrl(value))
      return 'narrative: a URL of a scheme that is not allowed';
    if (name === 'style' && /url\s*\(|expression|@import|javascript|\\|&/i.test(value))
      return 'narrative: a style that is not allowed';
  }
  return undefined;
}

/** Web, mail and local links, and images as data. Character references hide schemes: no. */
function isHarmlessUrl(value: string): boolean {
  const plain = value.replaceAll('&amp;', '&').trim();
  if (/&#|&colon|&tab|&newline/i.test(plain)) return false;
  const scheme = /^([^/?#]*?):/.exec(plain)?.[1];
  if (scheme === undefined) return true;
  if (scheme.toLowerCase() === 'data') return /^data:image\/(?:png|jpeg|gif);base64,/.test(plain);
  return ['http', 'https', 'mailto', 'tel'].includes(scheme.toLowerCase());
}
