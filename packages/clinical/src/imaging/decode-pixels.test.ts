import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { shared, sharedMissing } from '../../../../tests/shared.ts';
import { parseDicom, type DicomFile } from '../dicom/dicom-file.ts';
import { writePart10, type NewElement } from '../dicom/write-part10.ts';
import { TAG } from '../dicom/tag.ts';
import { decodePixels } from './decode-pixels.ts';

interface Entry {
  readonly file: string;
  readonly transferSyntax: string;
  readonly pixel?: {
    readonly sha256_le?: string;
    readonly min?: number;
    readonly max?: number;
    readonly mean?: number;
  };
}

const REFUSED = ['1.2.840.10008.1.2.2', '1.2.840.10008.1.2.4.51', '1.2.840.10008.1.2.4.201'];

const entries = (): Entry[] =>
  (JSON.parse(readFileSync(shared('vectors/dicom/manifest.json'), 'utf8')) as Entry[]).filter(
    ({ file, pixel }) => /^(?:valid|cxr)\//.test(file) && pixel,
  );

async function decodeAll(
  path: string,
): Promise<{ bytes: Buffer; numbers: number[]; rgb: boolean }> {
  const file = parseDicom(readFileSync(path));
  const parts: Buffer[] = [];
  const numbers: number[] = [];
  let rgb = false;
  for (let frame = 0; frame < (file.frames ?? 0); frame++) {
    const { samples, photometric } = await decodePixels(file, { frame });
    rgb = photometric === 'RGB';
    parts.push(Buffer.from(samples.buffer, samples.byteOffset, samples.byteLength));
    for (const sample of samples) numbers.push(sample);
  }
  return { bytes: Buffer.concat(parts), numbers, rgb };
}

describe('decodePixels on the vectors', { skip: sharedMissing }, () => {
  if (sharedMissing) return;
  const all = entries();
  assert.ok(all.length >= 25);
  for (const { file, transferSyntax, pixel = {} } of all) {
    const path = shared(`vectors/dicom/${file}`);
    it(`${file} (${transferSyntax.slice('1.2.840.10008.'.length)})`, async () => {
      if (REFUSED.includes(transferSyntax)) {
        assert.throws(() => parseDicom(readFileSync(path)), {
          name: 'ImagingError',
          code: 'unsupported_transfer_syntax',
        });
        return;
      }
      const { bytes, numbers, rgb } = await decodeAll(path);
      if (transferSyntax.endsWith('.4.50') && rgb) {
        // The reference keeps YBR where our decoder gives RGB: compare the mean after the way back.
        assert.ok(Math.abs(meanOfYbr(numbers) - (pixel.mean ?? 0)) < 1.5);
        return;
      }
      assert.equal(createHash('sha256').update(bytes).digest('hex'), pixel.sha256_le);
    });
  }

  it('needs no WebAssembly and prints nothing', () => {
    const files = ['cxr/cxr_jpeg_baseline.dcm', 'cxr/cxr_jpeg_ls_lossless.dcm'];
    files.push('cxr/cxr_jpeg_lossless_sv1.dcm', 'valid/MR_small_jp2klossless.dcm');
    const script = `
      const { createHash } = await import('node:crypto');
      const { readFileSync } = await import('node:fs');
      const { parseDicom, decodePixels } = await import(process.argv[1]);
      // Now: Node itself strips the types of our sources with WebAssembly; decoders load later.
      delete globalThis.WebAssembly;
      if (typeof WebAssembly !== 'undefined') throw new Error('still there');
      for (const path of process.argv.slice(2)) {
        const { samples } = await decodePixels(parseDicom(readFileSync(path)));
        console.log(createHash('sha256').update(samples).digest('hex'));
      }`;
    const args = ['--conditions=@cloister/source', '--input-type=module', '--eval', script, '--'];
    const index = fileURLToPath(new URL('../index.ts', import.meta.url));
    const paths = files.map((file) => shared(`vectors/dicom/${file}`));
    const child = spawnSync(process.execPath, [...args, index, ...paths], { encoding: 'utf8' });
    assert.equal(child.status, 0, child.stderr);
    const expected = files.map((file) => all.find((e) => e.file === file)?.pixel?.sha256_le);
    assert.deepEqual(child.stdout.trim().split('\n'), expected);
    assert.equal(child.stderr, '');
  });

  for (const name of [
    'cxr_rle',
    'cxr_jpeg_baseline',
    'cxr_jpeg_lossless_sv1',
    'cxr_jpeg_ls_lossless',
  ]) {
    it(`${name}: a codestream of another size is refused before it is decoded`, async () => {
      const file = parseDicom(readFileSync(shared(`vectors/dicom/cxr/${name}.dcm`)));
      await assert.rejects(decodePixels(withRows(file, 225)), { code: 'malformed' });
    });

    it(`${name}: a cut codestream is refused or decoded, never worse`, async () => {
      const file = parseDicom(readFileSync(shared(`vectors/dicom/cxr/${name}.dcm`)));
      const [table, frame] = file.dataSet.get(TAG.PixelData)?.fragments ?? [];
      assert.ok(table && frame);
      for (const share of [0, 0.02, 0.2, 0.5, 0.9]) {
        const cut = frame.subarray(0, Math.floor(frame.length * share));
        await decodePixels(withFragments(file, [table, cut])).catch((error: unknown) => {
          assert.ok(
            error instanceof Error && ['ImagingError', 'MalformedError'].includes(error.name),
          );
        });
      }
    });
  }
});

describe('decodePixels on made images', () => {
  it('clears bits above the stored ones and extends the sign', async () => {
    const values = Uint16Array.of(0xf800, 0x0801, 0xf7ff, 0x0000);
    const file = made({ bitsAllocated: 16, bitsStored: 12, representation: 1 }, asLe(values));
    const { samples } = await decodePixels(file);
    assert.deepEqual([...samples], [-2048, -2047, 2047, 0]);
  });

  it('shifts values that do not begin at bit 0', async () => {
    const values = Uint16Array.of(0x0010, 0xfff0, 0x0000, 0x8000);
    const file = made({ bitsAllocated: 16, bitsStored: 12, highBit: 15 }, asLe(values));
    assert.deepEqual([...(await decodePixels(file)).samples], [1, 4095, 0, 2048]);
  });

  it('interleaves planar colour', async () => {
    const colour = { samples: 3, planar: 1, photometric: 'RGB' };
    const file = made(colour, Uint8Array.of(1, 2, 3, 4, 11, 12, 13, 14, 21, 22, 23, 24));
    const { samples } = await decodePixels(file);
    assert.deepEqual([...samples], [1, 11, 21, 2, 12, 22, 3, 13, 23, 4, 14, 24]);
  });

  it('refuses pixels of another length than rows and columns say', async () => {
    for (const length of [2, 6, 8]) {
      await assert.rejects(decodePixels(made({}, new Uint8Array(length))), { code: 'malformed' });
    }
  });

  it('refuses a frame that is not there', async () => {
    await assert.rejects(decodePixels(made({}, new Uint8Array(4)), { frame: 1 }), {
      code: 'no_pixels',
    });
  });
});

function meanOfYbr(rgb: readonly number[]): number {
  let sum = 0;
  for (let i = 0; i < rgb.length; i += 3) {
    const [r = 0, g = 0, b = 0] = rgb.slice(i, i + 3);
    const y = 0.299 * r + 0.587 * g + 0.114 * b;
    sum += y + (128 + (b - y) / 1.772) + (128 + (r - y) / 1.402);
  }
  return sum / rgb.length;
}

function asLe(values: Uint16Array): Uint8Array {
  const bytes = new Uint8Array(values.length * 2);
  for (const [i, value] of values.entries())
    new DataView(bytes.buffer).setUint16(2 * i, value, true);
  return bytes;
}

function withRows(file: DicomFile, rows: number): DicomFile {
  return file.pixels ? { ...file, pixels: { ...file.pixels, rows } } : file;
}

function withFragments(file: DicomFile, fragments: readonly Uint8Array[]): DicomFile {
  const element = { tag: TAG.PixelData, vr: 'OB', value: new Uint8Array(0), fragments };
  return { ...file, dataSet: new Map([...file.dataSet, [TAG.PixelData, element]]) };
}

const us = (tag: number, value: number): NewElement => ({ tag, vr: 'US', value });

function made(
  image: {
    readonly bitsAllocated?: number;
    readonly bitsStored?: number;
    readonly highBit?: number;
    readonly representation?: number;
    readonly samples?: number;
    readonly planar?: number;
    readonly photometric?: string;
  },
  native: Uint8Array,
): DicomFile {
  const bitsAllocated = image.bitsAllocated ?? 8;
  const bitsStored = image.bitsStored ?? bitsAllocated;
  return parseDicom(
    writePart10({
      transferSyntaxUid: '1.2.840.10008.1.2.1',
      sopClassUid: '1.2.840.10008.5.1.4.1.1.7',
      sopInstanceUid: '2.25.1',
      elements: [
        { tag: TAG.StudyInstanceUID, vr: 'UI', value: '2.25.2' },
        { tag: TAG.SeriesInstanceUID, vr: 'UI', value: '2.25.3' },
        us(TAG.SamplesPerPixel, image.samples ?? 1),
        { tag: TAG.PhotometricInterpretation, vr: 'CS', value: image.photometric ?? 'MONOCHROME2' },
        us(TAG.PlanarConfiguration, image.planar ?? 0),
        us(TAG.Rows, 2),
        us(TAG.Columns, 2),
        us(TAG.BitsAllocated, bitsAllocated),
        us(TAG.BitsStored, bitsStored),
        us(TAG.HighBit, image.highBit ?? bitsStored - 1),
        us(TAG.PixelRepresentation, image.representation ?? 0),
      ],
      pixels: { native, vr: bitsAllocated > 8 ? 'OW' : 'OB' },
    }),
  );
}
