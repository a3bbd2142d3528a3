// The decoders ship no types. What we use of them, as read in their sources.

/** What an Emscripten factory takes: where its prints go. */
interface CodecOptions {
  readonly print?: (line: string) => void;
  readonly printErr?: (line: string) => void;
}

interface CodecFrameInfo {
  readonly width: number;
  readonly height: number;
  readonly bitsPerSample: number;
  readonly componentCount: number;
  readonly isSigned?: boolean;
}

interface CodecDecoder {
  getEncodedBuffer(length: number): Uint8Array;
  decode(): void;
  getFrameInfo(): CodecFrameInfo;
  getDecodedBuffer(): Uint8Array;
  delete(): void;
}

declare module '@cornerstonejs/codec-charls/decode' {
  const create: (
    options?: CodecOptions,
  ) => Promise<{ JpegLSDecoder: new () => CodecDecoder & { getInterleaveMode(): number } }>;
  export default create;
}

declare module '@cornerstonejs/codec-openjpeg/decode' {
  const create: (
    options?: CodecOptions,
  ) => Promise<{ J2KDecoder: new () => CodecDecoder & { readHeader(): void } }>;
  export default create;
}

declare module '@cornerstonejs/codec-libjpeg-turbo-8bit/decode' {
  const create: (
    options?: CodecOptions,
  ) => Promise<{ JPEGDecoder: new () => CodecDecoder & { readHeader(): void } }>;
  export default create;
}

declare module 'jpeg-lossless-decoder-js' {
  export class Decoder {
    decode(
      buffer: ArrayBuffer,
      offset?: number,
      length?: number,
      bytesPerSample?: number,
    ): Uint8Array | Uint16Array;
  }
}
