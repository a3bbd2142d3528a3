import { concatBytes, MalformedError } from '@cloister/bytes';

/**
 * The bytes of frame `index` among the fragments of encapsulated pixel data (PS3.5 A.4): the first
 * fragment is the basic offset table. Without a table, fragments are frames where their numbers
 * agree; else a frame ends with the fragment that ends in EOI or EOC (FFD9).
 */
export function frameBytes(
  fragments: readonly Uint8Array[],
  frames: number,
  index: number,
): Uint8Array {
  const [table, ...data] = fragments;
  if (!table || data.length < 1) throw new MalformedError('truncated', 'DICOM pixel fragments');
  if (frames === 1) return join(data);
  if (data.length === frames) return data[index] ?? missing();
  const groups = table.length > 0 ? groupByTable(table, data) : groupByMarker(data);
  if (groups.length !== frames) throw new MalformedError('bad_value', 'DICOM pixel fragments');
  return join(groups[index] ?? missing());
}

function join(parts: readonly Uint8Array[]): Uint8Array {
  return parts.length === 1 && parts[0] ? parts[0] : concatBytes(...parts);
}

function missing(): never {
  throw new MalformedError('bad_value', 'DICOM frame number');
}

function groupByTable(table: Uint8Array, data: readonly Uint8Array[]): Uint8Array[][] {
  if (table.length % 4 !== 0) throw new MalformedError('bad_value', 'DICOM basic offset table');
  const view = new DataView(table.buffer, table.byteOffset, table.length);
  const starts = new Set<number>();
  for (let at = 0; at < table.length; at += 4) starts.add(view.getUint32(at, true));
  const groups: Uint8Array[][] = [];
  let offset = 0;
  for (const fragment of data) {
    if (starts.has(offset)) groups.push([]);
    const group = groups.at(-1);
    if (!group) throw new MalformedError('bad_value', 'DICOM basic offset table');
    group.push(fragment);
    offset += 8 + fragment.length;
  }
  return groups;
}

function groupByMarker(data: readonly Uint8Array[]): Uint8Array[][] {
  const groups: Uint8Array[][] = [];
  let open: Uint8Array[] = [];
  for (const fragment of data) {
    open.push(fragment);
    // A pad byte may follow the marker, for even length.
    const tail = fragment.at(-1) === 0 ? fragment.subarray(0, -1) : fragment;
    if (tail.at(-2) === 0xff && tail.at(-1) === 0xd9) {
      groups.push(open);
      open = [];
    }
  }
  if (open.length > 0) throw new MalformedError('truncated', 'DICOM pixel fragments');
  return groups;
}
