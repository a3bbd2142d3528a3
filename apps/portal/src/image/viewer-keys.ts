/** What a key does in the viewer (spec/clinical.md 11.3). */
export type ViewerAction =
  | 'heat'
  | 'opacity-down'
  | 'opacity-up'
  | 'invert'
  | 'zoom-in'
  | 'zoom-out'
  | 'reset';

const KEYS = new Map<string, ViewerAction>([
  ['h', 'heat'],
  ['[', 'opacity-down'],
  [']', 'opacity-up'],
  ['i', 'invert'],
  ['+', 'zoom-in'],
  ['=', 'zoom-in'],
  ['-', 'zoom-out'],
  ['0', 'reset'],
]);

/** The action of a key, while the viewer has the focus; keys with modifiers belong to others. */
export function viewerAction(event: {
  readonly key: string;
  readonly ctrlKey: boolean;
  readonly metaKey: boolean;
  readonly altKey: boolean;
}): ViewerAction | undefined {
  if (event.ctrlKey || event.metaKey || event.altKey) return undefined;
  return KEYS.get(event.key.toLowerCase());
}
