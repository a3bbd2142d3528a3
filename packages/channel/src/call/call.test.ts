import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import type { VerifiedCaller } from '@cloister/attestation';
import { decodeHex, encodeUtf8, MalformedError } from '@cloister/bytes';
import { jwkFromSpki } from '@cloister/crypto';
import * as fc from 'fast-check';
import { shared, sharedMissing } from '../../../../tests/shared.ts';
import { markVerified } from '../../../attestation/src/peer/verified-peer.ts';
import { fieldsOf } from '../binary-http/fetch-message.ts';
import { CALL_COMPONENTS, signCall } from './sign-call.ts';
import { signatureBase, type SignedMessage } from './signature-base.ts';
import { parseSignature, parseSignatureInput } from './signature-input.ts';
import { verifyCall } from './verify-call.ts';

interface Case {
  readonly section: string;
  readonly alg: string;
  readonly key: string;
  readonly label: string;
  readonly message: {
    readonly method?: string;
    readonly target?: string;
    readonly status?: number;
    readonly headers: readonly (readonly [string, string])[];
  };
  readonly signatureBase: string;
  readonly signatureInput: string;
  readonly signature: string;
}

interface Vectors {
  readonly keys: Readonly<Record<string, { readonly publicPem?: string }>>;
  readonly cases: readonly Case[];
}

function messageOf({ message }: Case): SignedMessage {
  const field = (name: string) => {
    const values = message.headers.filter(([header]) => header.toLowerCase() === name);
    return values.length === 0 ? undefined : values.map(([, value]) => value.trim()).join(', ');
  };
  return {
    method: message.method ?? '',
    target: message.target ?? '',
    authority: field('host') ?? '',
    field,
  };
}

describe('RFC 9421 vectors', { skip: sharedMissing }, () => {
  const file = shared('vectors/protocol/http-signatures-rfc9421.json');
  const vectors = sharedMissing
    ? { keys: {}, cases: [] }
    : (JSON.parse(readFileSync(file, 'utf8')) as Vectors);
  let bases = 0;
  let verified = 0;

  for (const one of vectors.cases) {
    const [input = assert.fail()] = parseSignatureInput(one.signatureInput);
    const names = input.components.map(({ name }) => name);
    // Responses and component parameters are not ours: calls are requests over plain components.
    const applies =
      one.message.method !== undefined &&
      input.components.every(({ parameters }) => parameters === '');

    it(`${one.section}: Signature-Input and Signature`, () => {
      assert.equal(input.label, one.label);
      assert.equal(`${input.label}=${input.raw}`, one.signatureInput);
      const [signature = assert.fail()] = parseSignature(one.signature);
      assert.equal(signature.label, one.label);
    });
    if (!applies) continue;

    it(`${one.section}: signature base`, () => {
      assert.equal(signatureBase(messageOf(one), names, input.raw), one.signatureBase);
      bases++;
    });

    if (one.alg !== 'ecdsa-p256-sha256') continue;
    it(`${one.section}: signature over the base that was built`, async () => {
      const pem = vectors.keys[one.key]?.publicPem ?? assert.fail();
      const spki = Uint8Array.from(
        Buffer.from(pem.replaceAll(/-----[^-]*-----|\s/g, ''), 'base64'),
      );
      const curve = { name: 'ECDSA', namedCurve: 'P-256' };
      const key = await crypto.subtle.importKey('spki', spki, curve, false, ['verify']);
      const base = encodeUtf8(signatureBase(messageOf(one), names, input.raw));
      const [{ value } = assert.fail()] = parseSignature(one.signature);
      const algorithm = { name: 'ECDSA', hash: 'SHA-256' };
      assert.ok(await crypto.subtle.verify(algorithm, key, value, base));
      verified++;
    });
  }

  it('were not all passed over', () => assert.ok(bases >= 7 && verified >= 2));
});

const binding = new Uint8Array(32).fill(7);
const TOKEN = 'aaaa.bbbb.cccc';

async function makeCaller() {
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256' };
  const pair = await crypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const spki = new Uint8Array(await crypto.subtle.exportKey('spki', pair.publicKey));
  const claims: Omit<VerifiedCaller, never> = {
    service: 'records',
    manifestId: '00',
    simulated: true,
    sig: jwkFromSpki(spki),
    enc: { kty: 'RSA' },
    tokenClaims: {},
    exp: 0,
  } as unknown as VerifiedCaller;
  return { key: pair.privateKey, caller: markVerified(claims) };
}

async function signed({ key }: { readonly key: CryptoKey }, body = 'pixels'): Promise<Request> {
  const request = new Request('https://inference/v2/models/m/infer?x=1', {
    method: 'POST',
    body,
    headers: { 'x-other': '1' },
  });
  const headers = await signCall(request, encodeUtf8(body), fieldsOf(request.headers), {
    signer: { key, token: () => Promise.resolve(TOKEN) },
    binding,
    created: new Date(1_700_000_000_000),
    random: (length) => new Uint8Array(length),
  });
  return new Request(request.url, {
    method: 'POST',
    headers: headers.map(([name, value]) => [name, value]),
    body,
  });
}

const withHeader =
  (name: string, value: string | undefined) =>
  (request: Request): Request => {
    const headers = new Headers(request.headers);
    if (value === undefined) headers.delete(name);
    else headers.set(name, value);
    return new Request(request, { headers });
  };
const editHeader =
  (name: string, edit: (value: string) => string) =>
  (request: Request): Request =>
    withHeader(name, edit(request.headers.get(name) ?? ''))(request);

describe('verifyCall', async () => {
  const us = await makeCaller();
  const verifyToken = (token: string) => {
    assert.equal(token, TOKEN);
    return Promise.resolve({
      ok: true as const,
      claims: us.caller,
      checks: [{ check: 'token signature', outcome: 'passed' as const }],
    });
  };

  async function refusal(change: (request: Request) => Request, by = us): Promise<string> {
    const result = await verifyCall(change(await signed(by)), { binding, verifyToken });
    assert.ok(!result.ok);
    const failed = result.checks.filter(({ outcome }) => outcome === 'failed');
    assert.deepEqual(
      failed.map(({ code }) => code),
      [result.code],
    );
    return result.code;
  }
  it('takes a signed call, lists every check, and leaves the body readable', async () => {
    const request = await signed(us);
    const result = await verifyCall(request, { binding, verifyToken });
    assert.ok(result.ok, JSON.stringify(result));
    assert.equal(result.claims, us.caller);
    assert.equal(result.checks.length, 8);
    assert.ok(result.checks.every(({ outcome }) => outcome === 'passed'));
    assert.equal(await request.text(), 'pixels');
  });

  it('replaces what the application put into the fields of the signature', async () => {
    const request = new Request('https://x/', {
      headers: { 'attestation-token': 'other', signature: 'a=:AA==:', 'content-digest': 'x' },
    });
    const headers = await signCall(request, new Uint8Array(), fieldsOf(request.headers), {
      signer: { key: us.key, token: () => Promise.resolve(TOKEN) },
      binding,
      created: new Date(0),
      random: (length) => new Uint8Array(length),
    });
    const names = headers.map(([name]) => name);
    assert.equal(new Set(names).size, names.length);
    assert.ok(headers.some(([name, value]) => name === 'attestation-token' && value === TOKEN));
  });

  const cases: readonly (readonly [string, string, (request: Request) => Request])[] = [
    ['no token', 'call_token_missing', withHeader('attestation-token', undefined)],
    ['two tokens', 'call_token_not_single', withHeader('attestation-token', `${TOKEN}, ${TOKEN}`)],
    ['a token that is none', 'call_token_not_single', withHeader('attestation-token', 'x')],
    ['no Signature', 'call_signature_missing', withHeader('signature', undefined)],
    ['no Signature-Input', 'call_signature_missing', withHeader('signature-input', undefined)],
    ['a broken Signature-Input', 'call_signature_malformed', withHeader('signature-input', 'x=(')],
    ['a broken Signature', 'call_signature_malformed', withHeader('signature', 'cloister=AAAA')],
    [
      'two signatures',
      'call_signature_malformed',
      editHeader('signature', (v) => `${v}, b=:AA==:`),
    ],
    [
      'two inputs',
      'call_signature_malformed',
      editHeader('signature-input', (v) => `${v}, b=();tag="cloister-call"`),
    ],
    [
      'labels that differ',
      'call_signature_malformed',
      editHeader('signature-input', (v) => `b${v.slice(8)}`),
    ],
    [
      'another tag',
      'call_signature_scope',
      editHeader('signature-input', (v) => v.replace('cloister-call', 'other')),
    ],
    [
      'no tag',
      'call_signature_scope',
      editHeader('signature-input', (v) => v.replace(';tag="cloister-call"', '')),
    ],
    [
      'another algorithm',
      'call_signature_scope',
      editHeader('signature-input', (v) => v.replace('ecdsa-p256-sha256', 'hmac-sha256')),
    ],
    ...CALL_COMPONENTS.map(
      (name) =>
        [
          `${name} not covered`,
          'call_signature_scope',
          editHeader('signature-input', (v) => v.replace(`"${name}"`, '"x-other"')),
        ] as const,
    ),
    [
      'a component twice',
      'call_signature_scope',
      editHeader('signature-input', (v) => v.replace('"@method"', '"@path"')),
    ],
    [
      'a component with a parameter',
      'call_signature_scope',
      editHeader('signature-input', (v) => v.replace('"@method"', '"@method";req')),
    ],
    [
      'another encapsulation',
      'call_encapsulation',
      withHeader('cloister-encapsulation', ':AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=:'),
    ],
    ['no encapsulation', 'call_encapsulation', withHeader('cloister-encapsulation', undefined)],
    ['no digest', 'call_content_digest', withHeader('content-digest', undefined)],
    [
      'another body',
      'call_content_digest',
      (request) =>
        new Request(request.url, { method: 'POST', headers: request.headers, body: 'other' }),
    ],
    [
      'another path',
      'call_signature',
      (request) => new Request('https://inference/v2/models/other/infer', request),
    ],
    [
      'another method',
      'call_signature',
      (request) =>
        new Request(request.url, { method: 'PUT', headers: request.headers, body: 'pixels' }),
    ],
    [
      'another created',
      'call_signature',
      editHeader('signature-input', (v) => v.replace('1700000000', '1700000001')),
    ],
    [
      'another order of components',
      'call_signature',
      editHeader('signature-input', (v) => v.replace('"@method" "@path"', '"@path" "@method"')),
    ],
    [
      'a flipped bit in the signature',
      'call_signature',
      editHeader('signature', (v) =>
        v.replace(/:(.)/, (_, c: string) => `:${c === 'A' ? 'B' : 'A'}`),
      ),
    ],
    ['a short signature', 'call_signature', withHeader('signature', 'cloister=:AAAA:')],
  ];
  for (const [what, code, change] of cases) {
    it(`refuses ${what}`, async () => assert.equal(await refusal(change), code));
  }

  it('refuses a signature by another key than the one in the token', async () => {
    assert.equal(await refusal((request) => request, await makeCaller()), 'call_signature');
  });

  it('refuses the signature of another encapsulation: a call cannot be carried on', async () => {
    const result = await verifyCall(await signed(us), { binding: decodeHex('00'), verifyToken });
    assert.ok(!result.ok);
    assert.equal(result.code, 'call_encapsulation');
  });

  it('hands on the refusal of the token, with its checks', async () => {
    const check = { check: 'token in date', outcome: 'failed', code: 'token_expired' } as const;
    const result = await verifyCall(await signed(us), {
      binding,
      verifyToken: () => Promise.resolve({ ok: false, code: 'token_expired', checks: [check] }),
    });
    assert.ok(!result.ok);
    assert.equal(result.code, 'token_expired');
    assert.ok(result.checks.includes(check));
  });

  it('refuses a caller that the verifier did not make', async () => {
    const result = await verifyCall(await signed(us), {
      binding,
      verifyToken: () =>
        Promise.resolve({ ok: true, claims: { ...us.caller } as VerifiedCaller, checks: [] }),
    });
    assert.equal(result.ok, false);
  });
});

describe('parseSignatureInput and parseSignature', () => {
  it('throw nothing but MalformedError, whatever comes', () => {
    const alphabet = fc.constantFrom(...Array.from('a=();"@ ,:1?\\A\t'));
    fc.assert(
      fc.property(fc.string({ unit: alphabet, maxLength: 40 }), (text) => {
        for (const parse of [parseSignatureInput, parseSignature]) {
          try {
            parse(text);
          } catch (error) {
            assert.ok(error instanceof MalformedError);
          }
        }
      }),
      { numRuns: 2000 },
    );
  });

  it('refuse a label, a parameter or a member that comes twice', () => {
    for (const text of ['a=(), a=()', 'a=();x=1;x=2', 'a=("b";c;c)']) {
      assert.throws(() => parseSignatureInput(text), MalformedError);
    }
    assert.throws(() => parseSignature('a=:AA==:, a=:AA==:'), MalformedError);
  });
});
