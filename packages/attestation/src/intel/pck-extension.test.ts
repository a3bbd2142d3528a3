import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  DER,
  encodeDer,
  encodeDerInteger,
  encodeDerOid,
  MalformedError,
  type Bytes,
} from '@cloister/bytes';
import { parsePckExtension, SGX_EXTENSION_OID } from './pck-extension.ts';

const octets = (length: number) => encodeDer(DER.OCTET_STRING, new Uint8Array(length));
const integer = (value: number) => encodeDerInteger(Uint8Array.of(value >> 8, value & 0xff));
const entry = (arc: string, value: Bytes) =>
  encodeDer(DER.SEQUENCE, encodeDerOid(`${SGX_EXTENSION_OID}.${arc}`), value);
const tcb = (...more: readonly Bytes[]) => [
  ...Array.from({ length: 16 }, (_, i) => entry(`2.${i + 1}`, integer(i))),
  entry('2.17', integer(11)),
  entry('2.18', octets(16)),
  ...more,
];
const type = (value: number) => encodeDer(DER.ENUMERATED, Uint8Array.of(value));
const five = (tcbEntries = tcb(), sgxType = 0) => [
  entry('1', octets(16)),
  entry('2', encodeDer(DER.SEQUENCE, ...tcbEntries)),
  entry('3', octets(2)),
  entry('4', octets(6)),
  entry('5', type(sgxType)),
];
const flag = encodeDer(DER.BOOLEAN, Uint8Array.of(0xff));
const parse = (entries: readonly Bytes[]) => parsePckExtension(encodeDer(DER.SEQUENCE, ...entries));
const refused = (entries: readonly Bytes[]) => assert.throws(() => parse(entries), MalformedError);

describe('parsePckExtension', () => {
  it('reads the five entries of the Processor CA', () => {
    const extension = parse(five());
    assert.deepEqual(
      extension.components,
      Array.from({ length: 16 }, (_, i) => i),
    );
    assert.equal(extension.pceSvn, 11);
    assert.equal(extension.sgxType, 'standard');
    assert.equal(extension.platformInstanceId, undefined);
  });
  it('reads the seven of the Platform CA, with any of the flags', () => {
    const configuration = encodeDer(DER.SEQUENCE, entry('7.3', flag));
    const seven = [...five(tcb(), 2), entry('6', octets(16)), entry('7', configuration)];
    const extension = parse(seven);
    assert.equal(extension.sgxType, 'scalable-with-integrity');
    assert.deepEqual(extension.configuration, { smtEnabled: true });
    assert.equal(extension.platformInstanceId?.length, 16);
  });
  it('refuses six entries or eight, a missing one and a duplicate', () => {
    refused([...five(), entry('6', octets(16))]);
    const configuration = encodeDer(DER.SEQUENCE, entry('7.1', flag));
    const eight = [...five(), entry('6', octets(16)), entry('7', configuration)];
    refused([...eight, entry('8', octets(1))]);
    for (let i = 0; i < 5; i++) refused(five().toSpliced(i, 1));
    for (let i = 0; i < 5; i++) refused([...five(), ...five().slice(i, i + 1)]);
  });
  it('refuses a TCB with more, fewer or doubled entries', () => {
    refused(five(tcb(entry('2.19', integer(1)))));
    refused(five(tcb(entry('2.1', integer(200)))));
    for (let i = 0; i < 18; i++) refused(five(tcb().toSpliced(i, 1)));
  });
  it('refuses entries of another arc, values out of range and unknown types', () => {
    refused([...five().slice(0, 4), entry('5.1', type(0))]);
    const foreign = encodeDer(DER.SEQUENCE, encodeDerOid('1.2.840.113741.1.14.1.5'), type(0));
    refused([...five().slice(0, 4), foreign]);
    refused(five(tcb().with(0, entry('2.1', integer(256)))));
    refused(five(tcb(), 3));
    refused(five().with(3, entry('4', octets(5))));
    const configuration = encodeDer(DER.SEQUENCE, entry('7.4', flag));
    refused([...five(), entry('6', octets(16)), entry('7', configuration)]);
  });
});
