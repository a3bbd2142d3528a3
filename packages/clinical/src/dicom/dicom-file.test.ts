import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import { concatBytes, Writer } from '@cloister/bytes';
import { shared, sharedMissing } from '../../../../tests/shared.ts';
import { parseDicom } from './dicom-file.ts';
import { TAG } from './tag.ts';
import { writePart10, type NewElement } from './write-part10.ts';

const EXPLICIT_LE = '1.2.840.10008.1.2.1';
const ELEMENTS: readonly NewElement[] = [
  { tag: TAG.SpecificCharacterSet, vr: 'CS', value: 'ISO_IR 192' },
  { tag: TAG.Modality, vr: 'CS', value: 'DX' },
  { tag: TAG.PatientName, vr: 'PN', value: 'Li^Na=李^娜' },
  { tag: TAG.PatientID, vr: 'LO', value: 'MRN 1' },
  { tag: TAG.StudyInstanceUID, vr: 'UI', value: '2.25.2' },
  { tag: TAG.SeriesInstanceUID, vr: 'UI', value: '2.25.3' },
  { tag: TAG.SamplesPerPixel, vr: 'US', value: 1 },
  { tag: TAG.PhotometricInterpretation, vr: 'CS', value: 'MONOCHROME2' },
  { tag: TAG.Rows, vr: 'US', value: 2 },
  { tag: TAG.Columns, vr: 'US', value: 2 },
  { tag: TAG.BitsAllocated, vr: 'US', value: 8 },
  { tag: TAG.BitsStored, vr: 'US', value: 8 },
  { tag: TAG.HighBit, vr: 'US', value: 7 },
  { tag: TAG.PixelRepresentation, vr: 'US', value: 0 },
];

function write(changes: readonly NewElement[] = [], transferSyntaxUid = EXPLICIT_LE): Uint8Array {
  const changed = new Set(changes.map(({ tag }) => tag));
  return writePart10({
    transferSyntaxUid,
    sopClassUid: '1.2.840.10008.5.1.4.1.1.7',
    sopInstanceUid: '2.25.1',
    elements: [...ELEMENTS.filter(({ tag }) => !changed.has(tag)), ...changes],
    pixels: { native: Uint8Array.of(1, 2, 3, 4), vr: 'OB' },
  });
}

const refuses = (bytes: Uint8Array, code: string): void =>
  assert.throws(() => parseDicom(bytes), { name: 'MalformedError', code });

describe('parseDicom', () => {
  it('reads what was written', () => {
    const file = parseDicom(write());
    assert.equal(file.patientName, 'Li^Na=李^娜');
    assert.equal(file.patientId, 'MRN 1');
    assert.equal(file.modality, 'DX');
    assert.equal(file.sopInstanceUid, '2.25.1');
    assert.equal(file.rows, 2);
    assert.equal(file.pixels?.bitsStored, 8);
  });

  it('refuses every shorter prefix', () => {
    const bytes = write();
    for (let n = 0; n < bytes.length; n++) {
      // A cut between two elements is a shorter object: it lacks a UID, or the pixels.
      try {
        assert.equal(parseDicom(bytes.subarray(0, n)).pixels, undefined);
      } catch (error) {
        assert.ok(error instanceof Error && error.name === 'MalformedError', String(error));
      }
    }
  });

  it('never fails otherwise, whatever bytes change', () => {
    const bytes = write();
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(bytes.length - 1), fc.nat(255)), { minLength: 1, maxLength: 8 }),
        (changes) => {
          const changed = bytes.slice();
          for (const [at, value] of changes) changed[at] = value;
          try {
            parseDicom(changed);
          } catch (error) {
            assert.ok(error instanceof Error);
            assert.ok(['MalformedError', 'ImagingError'].includes(error.name), String(error));
          }
        },
      ),
      { numRuns: 2000 },
    );
  });

  it('refuses random bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 4096 }), (bytes) => {
        assert.throws(() => parseDicom(bytes), { name: 'MalformedError' });
      }),
    );
  });

  it('refuses an image of 65,535 x 65,535 without making room for it', () => {
    const bomb = write([
      { tag: TAG.Rows, vr: 'US', value: 65_535 },
      { tag: TAG.Columns, vr: 'US', value: 65_535 },
    ]);
    refuses(bomb, 'too_large');
  });

  it('refuses a number of frames that makes the image too large', () => {
    refuses(write([{ tag: TAG.NumberOfFrames, vr: 'IS', value: '999999999' }]), 'too_large');
  });

  it('refuses an attribute that stands there twice', () => {
    const id: NewElement = { tag: TAG.PatientID, vr: 'LO', value: 'MRN 2' };
    refuses(write([id, id]), 'bad_value');
  });

  it('refuses a preamble that makes the file a program', () => {
    const bytes = write();
    bytes.set([0x4d, 0x5a]);
    refuses(bytes, 'bad_value');
    bytes.set([0x49, 0x49, 0x2a, 0x00]);
    assert.equal(parseDicom(bytes).modality, 'DX');
  });

  it('refuses a PNG that is named otherwise', () => {
    const png = concatBytes(
      Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 13, 10, 26, 10),
      new Uint8Array(500),
    );
    refuses(png, 'bad_value');
  });

  const contradictions: readonly (readonly [string, NewElement])[] = [
    ['zero rows', { tag: TAG.Rows, vr: 'US', value: 0 }],
    ['two samples', { tag: TAG.SamplesPerPixel, vr: 'US', value: 2 }],
    ['24 bits allocated', { tag: TAG.BitsAllocated, vr: 'US', value: 24 }],
    ['more bits stored than allocated', { tag: TAG.BitsStored, vr: 'US', value: 9 }],
    ['a high bit above the word', { tag: TAG.HighBit, vr: 'US', value: 8 }],
    ['a third pixel representation', { tag: TAG.PixelRepresentation, vr: 'US', value: 2 }],
    ['an unknown character set', { tag: TAG.SpecificCharacterSet, vr: 'CS', value: 'ISO_IR 999' }],
    ['a frame count that is no number', { tag: TAG.NumberOfFrames, vr: 'IS', value: '1A' }],
    ['a study UID that is none', { tag: TAG.StudyInstanceUID, vr: 'UI', value: '1.2.x' }],
  ];
  for (const [name, element] of contradictions) {
    it(`refuses ${name}`, () => refuses(write([element]), 'bad_value'));
  }

  it('refuses broken UTF-8 where UTF-8 is announced', () => {
    const name = { tag: TAG.PatientName, vr: 'PN', value: Uint8Array.of(0x41, 0xff) };
    refuses(write([name]), 'bad_value');
  });

  it('bounds nesting in sequences of defined length too', () => {
    let inner: Uint8Array = new Uint8Array(0);
    for (let depth = 0; depth < 40; depth++) {
      const item = new Writer()
        .u16le(0xfffe)
        .u16le(0xe000)
        .u32le(inner.length)
        .bytes(inner)
        .finish();
      const head = new Writer().u16le(0x0009).u16le(0x1001).bytes(Uint8Array.of(0x53, 0x51));
      inner = head.u16le(0).u32le(item.length).bytes(item).finish();
    }
    refuses(concatBytes(write(), inner), 'too_deep');
  });

  it('says which syntax it does not read', () => {
    for (const syntax of ['2', '4.51', '4.201', '4.202', '4.203', '4.100']) {
      const bytes = write([], `1.2.840.10008.1.2.${syntax}`);
      assert.throws(() => parseDicom(bytes), {
        name: 'ImagingError',
        code: 'unsupported_transfer_syntax',
      });
    }
  });
});

describe('parseDicom on the malformed vectors', { skip: sharedMissing }, () => {
  if (sharedMissing) return;
  const files = readdirSync(shared('vectors/dicom/malformed'));
  assert.ok(files.length >= 8);
  for (const file of files) {
    it(`refuses ${file}`, () => {
      const bytes = readFileSync(shared(`vectors/dicom/malformed/${file}`));
      assert.throws(() => parseDicom(bytes), { name: 'MalformedError' });
    });
  }

  it('reads objects without pixels', () => {
    const file = parseDicom(readFileSync(shared('vectors/dicom/valid/test-SR.dcm')));
    assert.equal(file.modality, 'SR');
    assert.equal(file.pixels, undefined);
  });
});
