import { MalformedError } from '@cloister/bytes';
import { formatTag, TAG } from './tag.ts';

/** One attribute of a data set: its value is a view of the file's bytes. */
export interface DataElement {
  readonly tag: number;
  /** Two letters; `UN` where an implicit data set does not say and we need not know. */
  readonly vr: string;
  readonly value: Uint8Array;
  /** The items, when the element is a sequence whose items were read. */
  readonly items?: readonly DataSet[];
  /** Encapsulated pixel data: the fragments, the first of which is the basic offset table. */
  readonly fragments?: readonly Uint8Array[];
}

/** A data set by tag (PS3.5 section 7). */
export type DataSet = ReadonlyMap<number, DataElement>;

/** Sequences may nest this deep; real objects stay below ten. */
const MAX_DEPTH = 16;
const MAX_ELEMENTS = 100_000;
const UNDEFINED_LENGTH = 0xffffffff;
const EMPTY = new Uint8Array(0);
const LONG_VRS = new Set('OB OD OF OL OV OW SQ SV UC UN UR UT UV'.split(' '));
const SHORT_VRS = new Set(
  'AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US'.split(' '),
);
/** Sequences that are read in implicit data sets too, where nothing marks them. */
const KNOWN_SEQUENCES = new Set<number>([TAG.ModalityLutSequence, TAG.VoiLutSequence]);

/** Reads little-endian data sets: every length is checked, nesting and element count are bounded. */
export class DataSetReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #at: number;
  #elements = 0;

  constructor(bytes: Uint8Array, at: number) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#at = at;
  }

  get position(): number {
    return this.#at;
  }

  /** The file meta group (0002,xxxx): explicit VR, ends where another group begins. */
  readMeta(): DataSet {
    const set = new Map<number, DataElement>();
    while (this.#bytes.length - this.#at >= 4 && this.#view.getUint16(this.#at, true) === 2) {
      this.#add(set, this.#element(true, this.#bytes.length, 0));
    }
    return set;
  }

  /** All elements up to `end`. */
  readDataSet(explicit: boolean, end: number = this.#bytes.length, depth = 0): DataSet {
    const set = new Map<number, DataElement>();
    while (this.#at < end) this.#add(set, this.#element(explicit, end, depth));
    return set;
  }

  #add(set: Map<number, DataElement>, element: DataElement): void {
    // Two values of one attribute are two truths: another reader may believe the other one.
    if (set.has(element.tag)) this.#fail('bad_value', `${formatTag(element.tag)} twice`);
    if (++this.#elements > MAX_ELEMENTS) this.#fail('too_large', 'data set');
    set.set(element.tag, element);
  }

  #element(explicit: boolean, end: number, depth: number): DataElement {
    const tag = this.#tag(end);
    if (tag >>> 16 === 0xfffe) this.#fail('bad_value', `delimiter ${formatTag(tag)}`);
    const { vr, length } = explicit
      ? this.#explicitHeader(tag, end)
      : this.#implicitHeader(tag, end);
    if (length === UNDEFINED_LENGTH) {
      if (tag === TAG.PixelData && (vr === 'OB' || vr === 'OW')) {
        return { tag, vr, value: EMPTY, fragments: this.#fragments(end) };
      }
      if (vr !== 'SQ' && vr !== 'UN') this.#fail('bad_value', `length of ${formatTag(tag)}`);
      // PS3.5 6.2.2: UN of undefined length is an implicit sequence, whatever stands around it.
      const items = this.#items(explicit && vr === 'SQ', end, undefined, depth + 1);
      return { tag, vr: 'SQ', value: EMPTY, items };
    }
    const at = this.#take(length, end, formatTag(tag));
    const value = this.#bytes.subarray(at, at + length);
    if (vr === 'SQ') {
      this.#at = at;
      return { tag, vr, value, items: this.#items(explicit, end, at + length, depth + 1) };
    }
    return { tag, vr, value };
  }

  #explicitHeader(tag: number, end: number): { vr: string; length: number } {
    const at = this.#take(2, end, formatTag(tag));
    const vr = String.fromCharCode(this.#view.getUint8(at), this.#view.getUint8(at + 1));
    if (SHORT_VRS.has(vr)) return { vr, length: this.#u16(end) };
    if (!LONG_VRS.has(vr)) this.#fail('bad_value', `VR of ${formatTag(tag)}`);
    this.#take(2, end, formatTag(tag));
    return { vr, length: this.#u32(end) };
  }

  #implicitHeader(tag: number, end: number): { vr: string; length: number } {
    return { vr: KNOWN_SEQUENCES.has(tag) ? 'SQ' : 'UN', length: this.#u32(end) };
  }

  /** Items until `until`, or until the sequence delimiter when the length is undefined. */
  #items(explicit: boolean, end: number, until: number | undefined, depth: number): DataSet[] {
    if (depth > MAX_DEPTH) this.#fail('too_deep', 'sequence');
    const items: DataSet[] = [];
    const limit = until ?? end;
    for (;;) {
      if (this.#at === until) return items;
      const tag = this.#tag(limit);
      const length = this.#u32(limit);
      if (until === undefined && tag === TAG.SequenceDelimitation && length === 0) return items;
      if (tag !== TAG.Item) this.#fail('bad_value', 'sequence item');
      if (++this.#elements > MAX_ELEMENTS) this.#fail('too_large', 'data set');
      if (length === UNDEFINED_LENGTH) {
        items.push(this.#openItem(explicit, limit, depth));
      } else {
        const at = this.#take(length, limit, 'sequence item');
        this.#at = at;
        items.push(this.readDataSet(explicit, at + length, depth));
      }
    }
  }

  #openItem(explicit: boolean, end: number, depth: number): DataSet {
    const set = new Map<number, DataElement>();
    while (this.#peekTag(end) !== TAG.ItemDelimitation) {
      this.#add(set, this.#element(explicit, end, depth));
    }
    this.#tag(end);
    if (this.#u32(end) !== 0) this.#fail('bad_value', 'item delimiter');
    return set;
  }

  /** PS3.5 A.4: the offset table, then fragments of even length, then a delimiter. */
  #fragments(end: number): Uint8Array[] {
    const fragments: Uint8Array[] = [];
    for (;;) {
      const tag = this.#tag(end);
      const length = this.#u32(end);
      if (tag === TAG.SequenceDelimitation && length === 0) break;
      if (tag !== TAG.Item) this.#fail('bad_value', 'pixel fragment');
      if (++this.#elements > MAX_ELEMENTS) this.#fail('too_large', 'pixel fragments');
      const at = this.#take(length, end, 'pixel fragment');
      fragments.push(this.#bytes.subarray(at, at + length));
    }
    if (fragments.length === 0) this.#fail('bad_value', 'basic offset table');
    return fragments;
  }

  #peekTag(end: number): number {
    const at = this.#at;
    const tag = this.#tag(end);
    this.#at = at;
    return tag;
  }

  #tag(end: number): number {
    const at = this.#take(4, end, 'tag');
    return (this.#view.getUint16(at, true) * 0x10000 + this.#view.getUint16(at + 2, true)) >>> 0;
  }

  #u16(end: number): number {
    return this.#view.getUint16(this.#take(2, end, 'length'), true);
  }

  #u32(end: number): number {
    return this.#view.getUint32(this.#take(4, end, 'length'), true);
  }

  #take(length: number, end: number, what: string): number {
    const at = this.#at;
    if (length > end - at) this.#fail('truncated', what);
    this.#at += length;
    return at;
  }

  #fail(code: 'truncated' | 'bad_value' | 'too_large' | 'too_deep', what: string): never {
    throw new MalformedError(code, `DICOM ${what} at byte ${this.#at}`);
  }
}
