import { MalformedError, parseJsonObject, type JsonObject } from '@cloister/bytes';
import { fail, member, Members } from './members.ts';

/** Text in the two languages of the portal. */
export interface LocalText {
  readonly en: string;
  readonly 'zh-CN': string;
}

/** Tags that a contract may ask for besides the pixels; whatever else stands in a file stays home. */
export const DISCLOSABLE = [
  'Modality',
  'BodyPartExamined',
  'ViewPosition',
  'PatientAge',
  'PatientSex',
] as const;
/** A tag of {@link DISCLOSABLE}. */
export type DisclosableTag = (typeof DISCLOSABLE)[number];

/** What is done to an image before a model sees it; the steps run in this order. */
export interface Preprocessing {
  readonly fallbackWindow: { readonly center: number; readonly width: number };
  readonly greyWeights: readonly [number, number, number];
  /** Rows and columns. */
  readonly size: readonly [number, number];
  readonly range: { readonly from: number; readonly to: number };
}

/** The contract of a model: what it takes, what it gives, and how its answer may be shown. */
export interface ModelContract {
  readonly model: string;
  readonly version: string;
  readonly title: LocalText;
  readonly intendedUse: LocalText;
  readonly accepts: {
    readonly modality: readonly string[];
    readonly bodyPart: readonly string[];
    readonly frames: number;
    /** Rows and columns. */
    readonly minimumSize: readonly [number, number];
  };
  readonly input: {
    readonly name: string;
    readonly datatype: 'FP32';
    readonly shape: readonly number[];
    readonly preprocessing: Preprocessing;
    readonly refuse: readonly ('nan' | 'constant')[];
  };
  readonly discloses: readonly DisclosableTag[];
  readonly outputs: Readonly<
    Record<string, { readonly shape: readonly number[]; readonly labels: readonly string[] }>
  >;
  readonly finding: {
    readonly code: { readonly system: string; readonly code: string; readonly display: string };
    readonly score: string;
    readonly threshold: number;
    readonly calibrated: boolean;
    readonly heatMap?: {
      readonly from: string;
      readonly classes: readonly string[];
      readonly onlyAboveThreshold: boolean;
    };
    readonly doNotReport: readonly string[];
  };
  readonly evaluation: JsonObject;
  readonly licence: string;
}

const STEPS = ['decode', 'modality-lut', 'window', 'polarity', 'grey', 'resize', 'range'] as const;

/**
 * Reads a contract strictly: unknown members, unknown steps, steps in another order and shapes that
 * contradict each other are refused, so that what was agreed on is what is done.
 */
export function parseModelContract(text: string): ModelContract {
  const root = new Members(parseJsonObject(text), '');
  const input = root.object('input');
  const shape = input.integers('shape');
  const preprocessing = parsePreprocessing(input);
  const [rows, columns] = preprocessing.size;
  if (
    shape.length !== 4 ||
    shape[0] !== 1 ||
    shape[1] !== 1 ||
    shape[2] !== rows ||
    shape[3] !== columns
  ) {
    fail('/input/shape');
  }
  const outputs = parseOutputs(root.object('outputs'));
  const contract: ModelContract = {
    model: root.name('model'),
    version: root.name('version'),
    title: parseText(root.object('title')),
    intendedUse: parseText(root.object('intendedUse')),
    accepts: parseAccepts(root.object('accepts')),
    input: {
      name: input.name('name'),
      datatype: input.oneOf('datatype', ['FP32']),
      shape,
      preprocessing,
      refuse: input
        .strings('refuse')
        .map((item) => member(item, ['nan', 'constant'], '/input/refuse')),
    },
    discloses: root.strings('discloses').map((item) => member(item, DISCLOSABLE, '/discloses')),
    outputs,
    finding: parseFinding(root.object('finding'), outputs),
    evaluation: root.raw('evaluation'),
    licence: root.string('licence'),
  };
  input.end();
  root.end();
  return contract;
}

function parsePreprocessing(input: Members): Preprocessing {
  const steps = input.objects('preprocessing');
  if (steps.length !== STEPS.length) fail('/input/preprocessing');
  const [decode, lut, window, polarity, grey, resize, range] = steps.map((step, index) => {
    if (step.string('step') !== STEPS[index]) fail(step.at);
    return step;
  });
  if (!decode || !lut || !window || !polarity || !grey || !resize || !range) return fail('/input');
  const fallback = window.object('fallback');
  const weights = grey.numbers('weights', 3);
  const size = resize.integers('size', 2);
  polarity.oneOf('to', ['MONOCHROME2']);
  resize.oneOf('filter', ['bicubic-antialiased']);
  if (resize.boolean('keepAspect')) fail(`${resize.at}/keepAspect`);
  const result: Preprocessing = {
    fallbackWindow: { center: fallback.number('center'), width: fallback.number('width') },
    greyWeights: [weights[0] ?? 0, weights[1] ?? 0, weights[2] ?? 0],
    size: [size[0] ?? 0, size[1] ?? 0],
    range: { from: range.number('from'), to: range.number('to') },
  };
  if (result.fallbackWindow.width <= 0) fail(`${window.at}/fallback/width`);
  if (size.some((side) => side < 1 || side > 4096)) fail(`${resize.at}/size`);
  if (result.range.to <= result.range.from) fail(range.at);
  for (const part of [decode, lut, window, polarity, grey, resize, range, fallback]) part.end();
  return result;
}

function parseAccepts(accepts: Members): ModelContract['accepts'] {
  const size = accepts.integers('minimumSize', 2);
  const result = {
    modality: accepts.strings('modality'),
    bodyPart: accepts.strings('bodyPart'),
    frames: accepts.integer('frames'),
    minimumSize: [size[0] ?? 0, size[1] ?? 0] as const,
  };
  if (result.frames !== 1) fail('/accepts/frames');
  accepts.end();
  return result;
}

function parseOutputs(outputs: Members): ModelContract['outputs'] {
  const result: Record<string, { shape: readonly number[]; labels: readonly string[] }> = {};
  for (const name of outputs.names()) {
    const output = outputs.object(name);
    const shape = output.integers('shape');
    const labels = output.strings('labels');
    if (shape[0] !== 1 || shape[1] !== labels.length) fail(`${output.at}/shape`);
    result[name] = { shape, labels };
    output.end();
  }
  if (!result['probabilities']) fail('/outputs/probabilities');
  return result;
}

function parseFinding(
  finding: Members,
  outputs: ModelContract['outputs'],
): ModelContract['finding'] {
  const code = finding.object('code');
  const result = {
    code: {
      system: code.string('system'),
      code: code.string('code'),
      display: code.string('display'),
    },
    score: finding.string('score'),
    threshold: finding.number('threshold'),
    calibrated: finding.boolean('calibrated'),
    doNotReport: finding.strings('doNotReport'),
  };
  code.end();
  const labels = outputs['probabilities']?.labels ?? [];
  // The only scores that we compute: `probabilities.<label>` or one minus it.
  const scored = /^(?:1 - )?probabilities\.([a-z]+)$/.exec(result.score)?.[1];
  if (scored === undefined || !labels.includes(scored)) fail('/finding/score');
  if (!(result.threshold > 0 && result.threshold < 1)) fail('/finding/threshold');
  if (!finding.names().includes('heatMap')) {
    finding.end();
    return result;
  }
  const map = finding.object('heatMap');
  const heatMap = {
    from: map.string('from'),
    classes: map.strings('classes'),
    onlyAboveThreshold: map.boolean('onlyAboveThreshold'),
  };
  const source = outputs[heatMap.from];
  if (!source || !heatMap.classes.every((name) => source.labels.includes(name))) fail(map.at);
  map.end();
  finding.end();
  return { ...result, heatMap };
}

function parseText(text: Members): LocalText {
  const result = { en: text.string('en'), 'zh-CN': text.string('zh-CN') };
  text.end();
  return result;
}

/** A score in 0..1 from the model's probabilities, as the contract's `score` says. */
export function findingScore(contract: ModelContract, probabilities: ArrayLike<number>): number {
  const labels = contract.outputs['probabilities']?.labels ?? [];
  const label = /probabilities\.([a-z]+)$/.exec(contract.finding.score)?.[1] ?? '';
  const value = probabilities[labels.indexOf(label)];
  if (value === undefined || probabilities.length !== labels.length) {
    throw new MalformedError('bad_value', 'model output');
  }
  return contract.finding.score.startsWith('1 - ') ? 1 - value : value;
}
