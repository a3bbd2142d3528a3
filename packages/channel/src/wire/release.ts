/**
 * Gives the memory of bytes back at once that nobody else holds and nobody needs any more: the collector
 * of garbage would let tens of MiB of them come together first. What shares its memory stays.
 */
export function release(pieces: readonly Uint8Array<ArrayBuffer>[]): void {
  for (const { buffer, byteLength } of pieces)
    if (byteLength === buffer.byteLength) buffer.transfer(0);
}
