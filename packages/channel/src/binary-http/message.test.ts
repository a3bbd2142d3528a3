import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import {
  asBytes,
  concatBytes,
  decodeHex,
  encodeHex,
  encodeUtf8,
  MalformedError,
} from '@cloister/bytes';
import { BHttpDecoder, BHttpEncoder } from 'bhttp-js';
import * as fc from 'fast-check';
import { shared, sharedMissing } from '../../../../tests/shared.ts';
import { paddedLength } from '../padding.ts';
import { decodeMessage } from './decode-message.ts';
import { encodeMessage } from './encode-message.ts';
import { decodeLatin1 } from './latin1.ts';
import type { BinaryRequest, BinaryResponse, Field } from './message.ts';

interface Decoded {
  readonly kind: 'request' | 'response';
  readonly framing: 'known' | 'indeterminate';
  readonly method?: string;
  readonly scheme?: string;
  readonly authority?: string;
  readonly path?: string;
  readonly informational?: readonly { status: number; headers: readonly Field[] }[];
  readonly status?: number;
  readonly headers: readonly Field[];
  readonly content: string;
  readonly trailers: readonly Field[];
  readonly paddingBytes: number;
  readonly omittedSections?: readonly string[];
}

interface Vectors {
  readonly examples: readonly { name: string; hex: string; decoded: Decoded }[];
  readonly invalid: readonly { name: string; hex: string }[];
  readonly truncation: Readonly<Record<string, { length: number; validPrefixLengths: number[] }>>;
}

const EMPTY: Vectors = { examples: [], invalid: [], truncation: {} };

function flatten(bytes: Uint8Array): unknown {
  const { message, framing, omittedSections, paddingBytes } = decodeMessage([asBytes(bytes)]);
  return {
    ...message,
    content: decodeLatin1(message.content),
    framing,
    paddingBytes,
    ...(omittedSections.length > 0 ? { omittedSections } : {}),
  };
}

const request: BinaryRequest = {
  kind: 'request',
  method: 'POST',
  scheme: 'https',
  authority: 'records',
  path: '/fhir/Patient?name=a',
  headers: [
    ['content-type', 'application/json'],
    ['x-latin', 'caf\u00e9'],
  ],
  content: encodeUtf8('{"a":1}'),
  trailers: [],
};
const response: BinaryResponse = {
  kind: 'response',
  informational: [{ status: 103, headers: [['link', '<x>']] }],
  status: 404,
  headers: [['x-empty', '']],
  content: encodeUtf8('no'),
  trailers: [['digest', 'x']],
};

describe('binary HTTP vectors', { skip: sharedMissing }, () => {
  const file = shared('vectors/protocol/bhttp-rfc9292.json');
  const vectors = sharedMissing ? EMPTY : (JSON.parse(readFileSync(file, 'utf8')) as Vectors);

  it('are there', () => assert.ok(vectors.examples.length > 0 && vectors.invalid.length > 0));

  for (const { name, hex, decoded } of vectors.examples) {
    it(name, () => assert.deepEqual(flatten(decodeHex(hex)), decoded));

    it(`${name}: the same message again in known-length form`, () => {
      const { message } = decodeMessage([decodeHex(hex)]);
      const again = encodeMessage(message);
      assert.deepEqual(decodeMessage([again]).message, message);
      const whole = decoded.framing === 'known' && decoded.paddingBytes === 0;
      if (whole && decoded.omittedSections === undefined) assert.equal(encodeHex(again), hex);
    });
  }

  for (const { name, hex } of vectors.invalid) {
    it(`refuses: ${name}`, () =>
      assert.throws(() => decodeMessage([decodeHex(hex)]), MalformedError));
  }

  for (const [name, { length, validPrefixLengths }] of Object.entries(vectors.truncation)) {
    it(`cut anywhere: ${name}`, () => {
      const { hex = assert.fail() } = vectors.examples.find((one) => one.name === name) ?? {};
      const whole = decodeHex(hex);
      assert.equal(whole.length, length);
      const valid: number[] = [];
      for (let n = 0; n < length; n++) {
        try {
          decodeMessage([whole.subarray(0, n)]);
          valid.push(n);
        } catch (error) {
          assert.ok(error instanceof MalformedError);
        }
      }
      assert.deepEqual(valid, validPrefixLengths);
    });
  }
});

describe('encodeMessage', () => {
  for (const message of [request, response]) {
    it(`writes a ${message.kind} that decodes to itself, padded or not`, () => {
      assert.deepEqual(decodeMessage([encodeMessage(message)]).message, message);
      const padded = encodeMessage(message, paddedLength);
      assert.equal(padded.length, 4096);
      const { message: decoded, paddingBytes } = decodeMessage([padded]);
      assert.deepEqual(decoded, message);
      assert.equal(paddingBytes, 4096 - encodeMessage(message).length);
    });
  }

  it('writes requests that bhttp-js reads', async () => {
    // It reads field values as UTF-8, so only ASCII ones can be compared.
    const ascii = { ...request, headers: request.headers.slice(0, 1) };
    const theirs = new BHttpDecoder().decodeRequest(encodeMessage(ascii));
    assert.equal(theirs.method, 'POST');
    assert.equal(theirs.url, 'https://records/fhir/Patient?name=a');
    assert.equal(theirs.headers.get('content-type'), 'application/json');
    assert.equal(await theirs.text(), '{"a":1}');
  });

  it('reads requests and responses that bhttp-js writes', async () => {
    // Its encoder drops the query, so there is none.
    const url = 'https://records/fhir';
    const headers = { 'x-a': 'b' };
    const encoder = new BHttpEncoder();
    const theirs = await encoder.encodeRequest(
      new Request(url, { method: 'PUT', body: 'body', headers }),
    );
    const { message } = decodeMessage([asBytes(theirs)]);
    assert.ok(message.kind === 'request');
    assert.equal(message.path, '/fhir');
    assert.equal(decodeLatin1(message.content), 'body');
    assert.ok(message.headers.some(([name, value]) => name === 'x-a' && value === 'b'));
    const answer = await encoder.encodeResponse(new Response('gone', { status: 410, headers }));
    const decoded = decodeMessage([asBytes(answer)]).message;
    assert.ok(decoded.kind === 'response');
    assert.equal(decoded.status, 410);
    assert.equal(decodeLatin1(decoded.content), 'gone');
  });

  it('refuses what cannot be written', () => {
    const bad: readonly (BinaryRequest | BinaryResponse)[] = [
      { ...request, method: 'GET POST' },
      { ...request, headers: [['Upper', 'x']] },
      { ...request, headers: [['x', 'a\r\nb: c']] },
      { ...request, headers: [['x', ' a']] },
      { ...request, path: '/\u4e2d' },
      { ...response, status: 199 },
      { ...response, status: 600 },
      { ...response, informational: [{ status: 200, headers: [] }] },
    ];
    for (const message of bad) assert.throws(() => encodeMessage(message), MalformedError);
  });
});

describe('decodeMessage', () => {
  it('throws nothing but MalformedError for random bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        try {
          decodeMessage([bytes]);
        } catch (error) {
          assert.ok(error instanceof MalformedError);
        }
      }),
      { numRuns: 2000 },
    );
  });

  it('throws nothing but MalformedError for a good message with random changes', () => {
    const good = encodeMessage(response);
    fc.assert(
      fc.property(fc.nat(good.length - 1), fc.nat(255), (at, byte) => {
        const bytes = good.slice();
        bytes[at] = byte;
        try {
          decodeMessage([bytes]);
        } catch (error) {
          assert.ok(error instanceof MalformedError);
        }
      }),
      { numRuns: 2000 },
    );
  });

  it('refuses a field section that is out of proportion, in both framings', () => {
    const control = decodeHex('034745540568747470730161012f');
    const lines = new Uint8Array(399_999);
    for (let i = 0; i < lines.length; i += 3) lines.set([1, 0x61, 0], i);
    const known = concatBytes(Uint8Array.of(0), control, decodeHex('80061a7f'), lines);
    assert.throws(() => decodeMessage([known]), { code: 'too_large' });
    const indeterminate = concatBytes(Uint8Array.of(2), control, lines);
    assert.throws(() => decodeMessage([indeterminate]), { code: 'too_large' });
  });

  it('refuses endless informational responses', () => {
    const one = decodeHex('406600');
    const many = concatBytes(Uint8Array.of(1), ...Array.from({ length: 17 }, () => one));
    assert.throws(() => decodeMessage([many]), { code: 'too_large' });
  });

  it('reads varints of every size, also longer than they need to be', () => {
    const content = encodeUtf8('x');
    for (const length of ['01', '4001', '80000001', 'c000000000000001']) {
      const bytes = concatBytes(decodeHex(`0140c800${length}`), content);
      assert.deepEqual(decodeMessage([bytes]).message.content, content);
    }
  });

  it('refuses a byte that is not zero anywhere in the padding, however it lies in memory', () => {
    const plain = encodeMessage(request);
    for (let shift = 0; shift < 4; shift++)
      for (let padding = 0; padding < 40; padding++) {
        const memory = new Uint8Array(shift + plain.length + padding);
        const bytes = memory.subarray(shift);
        bytes.set(plain);
        assert.equal(decodeMessage([bytes]).paddingBytes, padding);
        for (let at = plain.length; at < bytes.length; at++) {
          bytes[at] = 1;
          assert.throws(() => decodeMessage([bytes]), { code: 'trailing_bytes' });
          bytes[at] = 0;
        }
      }
  });
});
