import type { Field, Inspection } from './inspection.ts';

/** An inspection as text: offset, size, name, value and meaning of each field. */
export function printInspection({ kind, size, sections, problems }: Inspection): string {
  const width = Math.max(
    0,
    ...sections.flatMap(({ fields }) => fields.map(({ name }) => name.length)),
  );
  const parts = sections.map(
    ({ title, fields }) => `\n${title}\n${fields.map((field) => lineOf(field, width)).join('')}`,
  );
  const failures = problems.map((problem) => `\nCANNOT BE READ FURTHER: ${problem}\n`);
  return `${kind}, ${size} bytes\n${parts.join('')}${failures.join('')}`;
}

function lineOf({ offset, size, name, value, meaning }: Field, width: number): string {
  const at = offset === undefined ? '      ' : `0x${offset.toString(16).padStart(4, '0')}`;
  const length = size === undefined ? '    ' : String(size).padStart(4);
  const said = meaning === undefined ? '' : `  (${meaning})`;
  return `  ${at} ${length}  ${name.padEnd(Math.min(width, 30))}  ${value}${said}\n`;
}
