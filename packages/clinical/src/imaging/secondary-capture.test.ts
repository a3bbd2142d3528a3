import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { crc32, deflateSync } from 'node:zlib';
import { concatBytes, encodeUtf8, Writer } from '@cloister/bytes';
import { encode } from 'fast-png';
import { shared, sharedMissing } from '../../../../tests/shared.ts';
import { parseDicom, type DicomFile } from '../dicom/dicom-file.ts';
import { frameBytes } from '../dicom/frames.ts';
import { TAG } from '../dicom/tag.ts';
import { decodePixels } from './decode-pixels.ts';
import { isImageKind } from './image-kind.ts';
import { decodePng } from './png.ts';
import { renderPreview } from './render-preview.ts';
import { uidFromRandom, wrapSecondaryCapture } from './secondary-capture.ts';

const uid = { study: '2.25.11', series: '2.25.12', instance: '2.25.13' };
const wrap = async (image: Uint8Array): Promise<DicomFile> =>
  parseDicom(await wrapSecondaryCapture({ image, uid, patient: { name: '李^娜', id: '7' } }));
const samplesOf = async (image: Uint8Array): Promise<number[]> => [
  ...(await decodePixels(await wrap(image))).samples,
];

/** A PNG chunk by chunk, for what an encoder would not write. */
function png(
  header: readonly number[],
  data: Uint8Array,
  more: readonly Uint8Array[] = [],
): Uint8Array {
  return concatBytes(
    Uint8Array.of(137, 80, 78, 71, 13, 10, 26, 10),
    chunk('IHDR', Uint8Array.from(header)),
    ...more,
    chunk('IDAT', data),
    chunk('IEND', new Uint8Array(0)),
  );
}

function chunk(type: string, data: Uint8Array): Uint8Array {
  const body = concatBytes(encodeUtf8(type), data);
  return new Writer().u32be(data.length).bytes(body).u32be(crc32(body)).finish();
}

const size = (columns: number, rows: number): number[] => [
  ...new Writer().u32be(columns).u32be(rows).finish(),
];

const dicom = (): DicomFile =>
  parseDicom(readFileSync(shared('vectors/dicom/cxr/cxr_jpeg_baseline.dcm')));

const jpeg = (): Uint8Array =>
  frameBytes(dicom().dataSet.get(TAG.PixelData)?.fragments ?? [], 1, 0);

describe('wrapSecondaryCapture of a PNG', () => {
  it('keeps grey and colour samples of 8 and 16 bits', async () => {
    const grey = encode({ width: 2, height: 2, data: Uint8Array.of(0, 50, 100, 255), channels: 1 });
    assert.deepEqual(await samplesOf(grey), [0, 50, 100, 255]);
    const deep = encode({
      width: 2,
      height: 1,
      data: Uint16Array.of(1, 65_535),
      channels: 1,
      depth: 16,
    });
    assert.deepEqual(await samplesOf(deep), [1, 65_535]);
    const colour = encode({ width: 1, height: 1, data: Uint8Array.of(1, 2, 3), channels: 3 });
    assert.deepEqual(await samplesOf(colour), [1, 2, 3]);
  });

  it('writes an object that says what it is', async () => {
    const image = encode({ width: 2, height: 1, data: Uint8Array.of(1, 2), channels: 1 });
    const file = await wrap(image);
    assert.equal(file.sopClassUid, '1.2.840.10008.5.1.4.1.1.7');
    assert.equal(file.sopInstanceUid, uid.instance);
    assert.equal(file.studyInstanceUid, uid.study);
    assert.equal(file.modality, 'OT');
    assert.equal(file.patientName, '李^娜');
    assert.equal(file.patientId, '7');
  });

  it('spreads samples of less than a byte, and resolves palettes', async () => {
    const bits = png(
      [...size(9, 1), 1, 0, 0, 0, 0],
      deflateSync(Uint8Array.of(0, 0b10101010, 0x80)),
    );
    assert.deepEqual(await samplesOf(bits), [255, 0, 255, 0, 255, 0, 255, 0, 255]);
    const palette = chunk('PLTE', Uint8Array.of(1, 2, 3, 4, 5, 6));
    const indexed = png([...size(2, 1), 8, 3, 0, 0, 0], deflateSync(Uint8Array.of(0, 1, 0)), [
      palette,
    ]);
    assert.deepEqual(await samplesOf(indexed), [4, 5, 6, 1, 2, 3]);
  });

  it('takes alpha that is opaque and refuses alpha that is not', async () => {
    const opaque = encode({
      width: 2,
      height: 1,
      data: Uint8Array.of(9, 255, 8, 255),
      channels: 2,
    });
    assert.deepEqual(await samplesOf(opaque), [9, 8]);
    const rgba = encode({ width: 1, height: 1, data: Uint8Array.of(1, 2, 3, 255), channels: 4 });
    assert.deepEqual(await samplesOf(rgba), [1, 2, 3]);
    const clear = encode({ width: 1, height: 1, data: Uint8Array.of(1, 2, 3, 254), channels: 4 });
    await assert.rejects(wrap(clear), { code: 'unsupported_pixels' });
    const palette = chunk('PLTE', Uint8Array.of(1, 2, 3));
    const header = [...size(1, 1), 8, 3, 0, 0, 0];
    const one = deflateSync(Uint8Array.of(0, 0));
    const half = [palette, chunk('tRNS', Uint8Array.of(128))];
    await assert.rejects(wrap(png(header, one, half)), { code: 'unsupported_pixels' });
    assert.deepEqual(
      await samplesOf(png(header, one, [palette, chunk('tRNS', Uint8Array.of(255))])),
      [1, 2, 3],
    );
  });

  it('takes the pixels only: texts and profiles stay out', async () => {
    const text = chunk('tEXt', encodeUtf8('Comment\u0000CANARY-name'));
    const bomb = chunk(
      'iCCP',
      concatBytes(encodeUtf8('x\u0000\u0000'), deflateSync(new Uint8Array(1 << 24))),
    );
    const image = png([...size(1, 1), 8, 0, 0, 0, 0], deflateSync(Uint8Array.of(0, 5)), [
      text,
      bomb,
    ]);
    const part10 = await wrapSecondaryCapture({ image, uid });
    assert.ok(!Buffer.from(part10).includes('CANARY'));
    assert.deepEqual(await samplesOf(image), [5]);
  });

  it('refuses bombs: sizes, and data that inflate to more than the size', async () => {
    const huge = png([...size(65_535, 65_535), 8, 0, 0, 0, 0], deflateSync(Uint8Array.of(0)));
    await assert.rejects(wrap(huge), { code: 'too_large' });
    const bomb = png([...size(1, 1), 8, 0, 0, 0, 0], deflateSync(new Uint8Array(1 << 26)));
    await assert.rejects(wrap(bomb), { code: 'too_large' });
    const short = png([...size(9, 9), 8, 0, 0, 0, 0], deflateSync(Uint8Array.of(0)));
    await assert.rejects(wrap(short), { code: 'bad_value' });
  });

  it('refuses every shorter prefix and every flipped bit', async () => {
    const good = encode({ width: 2, height: 2, data: Uint8Array.of(1, 2, 3, 4), channels: 1 });
    for (let n = 0; n < good.length; n++) {
      assert.throws(() => decodePng(good.subarray(0, n)));
    }
    for (let at = 8; at < good.length; at++) {
      const bad = good.slice();
      bad[at] = (bad[at] ?? 0) ^ 1;
      assert.throws(() => decodePng(bad), `byte ${at}`);
    }
  });

  it('is read at an interlaced size too', () => {
    const data = Uint8Array.from({ length: 15 }, (_, i) => i * 10);
    const image = encode({ width: 5, height: 3, data, channels: 1 }, { interlace: 'Adam7' });
    assert.deepEqual([...decodePng(image).samples], [...data]);
  });
});

describe('wrapSecondaryCapture of a JPEG', { skip: sharedMissing }, () => {
  if (sharedMissing) return;

  it('keeps the codestream, without comments and EXIF', async () => {
    const comment = encodeUtf8('CANARY-comment');
    const segment = (marker: number): Uint8Array =>
      new Writer()
        .u16be(marker)
        .u16be(comment.length + 2)
        .bytes(comment)
        .finish();
    const original = jpeg();
    const image = concatBytes(
      original.subarray(0, 2),
      segment(0xfffe),
      segment(0xffe1),
      original.subarray(2),
    );
    const part10 = await wrapSecondaryCapture({ image, uid });
    assert.ok(!Buffer.from(part10).includes('CANARY'));
    const file = parseDicom(part10);
    assert.equal(file.transferSyntaxUid, '1.2.840.10008.1.2.4.50');
    assert.deepEqual((await decodePixels(file)).samples, (await decodePixels(dicom())).samples);
  });

  it('refuses a JPEG cut short, of no size, or of another kind', async () => {
    const original = jpeg();
    for (const n of [0, 3, 20, 200, 1000]) await assert.rejects(wrap(original.subarray(0, n)));
    const lossless = parseDicom(
      readFileSync(shared('vectors/dicom/cxr/cxr_jpeg_lossless_sv1.dcm')),
    );
    const stream = frameBytes(lossless.dataSet.get(TAG.PixelData)?.fragments ?? [], 1, 0);
    await assert.rejects(wrap(stream), { code: 'unsupported_pixels' });
  });
});

describe('what images are called', () => {
  it('goes by the first bytes', () => {
    assert.equal(isImageKind(new Uint8Array(200)), undefined);
    assert.equal(isImageKind(Uint8Array.of(0xff, 0xd8, 0xff, 0xe0)), 'jpeg');
    assert.equal(isImageKind(Uint8Array.of(0x89, 0x50)), undefined);
  });

  it('makes UIDs of random bytes', () => {
    assert.equal(uidFromRandom(new Uint8Array(16)), '2.25.0');
    assert.equal(uidFromRandom(new Uint8Array(16).fill(255)), `2.25.${2n ** 128n - 1n}`);
    assert.throws(() => uidFromRandom(new Uint8Array(15)), RangeError);
  });
});

describe('renderPreview', { skip: sharedMissing }, () => {
  it('gives the radiograph as a PNG again', async () => {
    const image = readFileSync(shared('vectors/imaging/cxr-01.png'));
    const preview = await renderPreview(await wrap(image));
    assert.deepEqual(decodePng(preview).samples, decodePng(image).samples);
  });

  it('shows grey and colour, at the size of the image', async () => {
    for (const [path, channels] of [
      ['CT_small', 1],
      ['OBXXXX1A', 3],
      ['SC_rgb_jpeg_gdcm', 3],
    ] as const) {
      const file = parseDicom(readFileSync(shared(`vectors/dicom/valid/${path}.dcm`)));
      const png8 = decodePng(await renderPreview(file));
      assert.equal(png8.rows, file.rows);
      assert.equal(png8.channels, channels);
    }
  });
});
