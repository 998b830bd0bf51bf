/**
 * Text that a stranger wrote (descriptions, amounts that are none) on its way to the operator: short, one line, and
 * without characters that could steer a terminal.
 */

/** Characters kept. */
export const SHORT_TEXT_MAX = 120;

/** Control, format and surrogate characters become U+FFFD; what is too long ends with an ellipsis. */
export function shortText(text: string): string {
  const plain = text.replace(/[\p{C}\p{Zl}\p{Zp}]/gu, '\ufffd');
  const characters = [...plain.slice(0, 2 * SHORT_TEXT_MAX + 2)];
  if (characters.length <= SHORT_TEXT_MAX) return characters.join('');
  return `${characters.slice(0, SHORT_TEXT_MAX - 1).join('')}…`;
}
