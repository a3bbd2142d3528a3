import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { concatBytes, encodeUtf8 } from '@cloister/bytes';
import { modelFile } from '../scene.test.ts';
import { inspectOnnx } from './inspect-onnx.ts';

function varint(value: number): Uint8Array {
  return value < 128
    ? Uint8Array.of(value)
    : concatBytes(Uint8Array.of((value & 0x7f) | 0x80), varint(value >>> 7));
}

/** A length-delimited protobuf field. */
function field(number: number, ...parts: readonly Uint8Array[]): Uint8Array {
  const body = concatBytes(...parts);
  return concatBytes(varint((number << 3) | 2), varint(body.length), body);
}

const text = (number: number, value: string): Uint8Array => field(number, encodeUtf8(value));
const external = field(13, text(1, 'location'), text(2, '/etc/passwd'));
const refuses = (model: Uint8Array, code: string): void =>
  assert.throws(() => inspectOnnx(model), { name: 'MalformedError', code });

describe('inspectOnnx', () => {
  it('takes the model that comes with Cloister', () => {
    inspectOnnx(modelFile());
  });

  it('refuses an initializer with external data', () => {
    refuses(field(7, field(5, external)), 'bad_value');
    // data_location = EXTERNAL alone.
    refuses(field(7, field(5, Uint8Array.of(14 << 3, 1))), 'bad_value');
  });

  it('refuses external data in an attribute, in a subgraph and in a sparse tensor', () => {
    refuses(field(7, field(1, field(5, field(5, external)))), 'bad_value');
    refuses(field(7, field(1, field(5, field(6, field(5, external))))), 'bad_value');
    refuses(field(7, field(15, field(1, external))), 'bad_value');
    refuses(field(25, field(7, field(5, field(5, external)))), 'bad_value');
  });

  it('refuses operators and operator sets of foreign domains', () => {
    refuses(field(8, text(1, 'com.example')), 'bad_value');
    refuses(field(7, field(1, text(7, 'com.example'))), 'bad_value');
    inspectOnnx(field(8, text(1, 'ai.onnx')));
  });

  it('bounds nesting, and refuses broken fields', () => {
    let graph: Uint8Array = new Uint8Array(0);
    for (let depth = 0; depth < 20; depth++) graph = field(1, field(5, field(6, graph)));
    refuses(field(7, graph), 'too_deep');
    refuses(Uint8Array.of(0x3a, 0x7f), 'truncated');
    refuses(Uint8Array.of(0x3b), 'bad_value');
    refuses(new Uint8Array(12).fill(0xff), 'bad_value');
  });
});
