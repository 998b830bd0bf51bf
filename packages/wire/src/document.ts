/**
 * Renders `docs/messages.md` from the table of messages. Pure: the same table gives the same text.
 */
import type { Shape } from './codec.ts';
import { MESSAGE_LIMITS } from './decode.ts';
import { definitionOf, EXTENSION_NUMBERS, MESSAGE_SUBJECTS, MESSAGES, type MessageName } from './messages.ts';
import { WIRESTRING_BYTES_MAX } from './text.ts';

type NamedShape = Extract<Shape, { kind: 'named' }>;
type NamedShapes = Map<string, NamedShape>;

type ListShape = Extract<Shape, { kind: 'list' }>;

/** How a list departs from the protocol's usual array: any number of items behind a u16 count. */
function countText({ prefixBits, countMax }: ListShape): string {
  const isBounded = countMax < 2 ** prefixBits - 1;
  return `${prefixBits === 16 ? '' : ', u32 count'}${isBounded ? `, at most ${countMax}` : ''}`;
}

/** A shape in words; fills `seen` with the named types it meets. */
export function shapeText(shape: Shape, seen: NamedShapes = new Map()): string {
  switch (shape.kind) {
    case 'uint':
      return `u${shape.bits}${shape.endian === 'le' ? ' (little-endian)' : ''}${
        shape.values === undefined ? '' : ` in {${shape.values.join(', ')}}`
      }`;
    case 'u64':
      return shape.max === 0xffff_ffff_ffff_ffffn ? 'u64' : `u64 ≤ ${shape.max}`;
    case 'i64':
      return `i64, ${shape.min} to ${shape.max}`;
    case 'bool':
      return 'bool';
    case 'bytes':
      return shape.firstByte === undefined
        ? `${shape.length} bytes`
        : `${shape.length} bytes, the first ${shape.firstByte.map((byte) => `0${byte}`).join(' or ')}`;
    case 'octets':
      return shape.prefixBits === 16 ? 'bytes, u16 length' : 'bytes, u32 length';
    case 'hex':
      return `${shape.length} bytes`;
    case 'rest':
      return 'all bytes left';
    case 'text':
      return 'wirestring';
    case 'constant':
      return `‘${shape.value}’`;
    case 'choice':
      return `u8: ${shape.values.join(', ')}`;
    case 'option':
      return `optional ${shapeText(shape.of, seen)}`;
    case 'list':
      return `[${shapeText(shape.of, seen)}${countText(shape)}]`;
    case 'map':
      return `map of ${shapeText(shape.key, seen)} to ${shapeText(shape.value, seen)}`;
    case 'struct':
      return shape.fields.map(({ name, shape: of }) => `${name}: ${shapeText(of, seen)}`).join('; ');
    case 'tlv':
      return `TLV stream (${shape.records
        .map(({ type, name, shape: of }) => `${type} ${name}: ${shapeText(of, seen)}`)
        .join('; ')})`;
    case 'variant':
      return shape.cases.map(({ name, number }) => `${number} ${name}`).join(' | ');
    case 'versioned':
      return `version ${shape.version}, then ${shapeText(shape.of, seen)}`;
    case 'transaction':
      return 'Bitcoin transaction, u32 length';
    case 'psbt':
      return 'PSBT (BIP 174), u32 length';
    case 'named':
      // Named types of named types are met too, so that each is explained once.
      if (!seen.has(shape.name)) seen.set(shape.name, shape);
      shapeText(shape.of, seen);
      return shape.name;
  }
}

function messageRow(name: MessageName, seen: NamedShapes): string {
  const { kind, number, replies, doc, fields } = definitionOf(name);
  const fieldTexts = Object.entries(fields).map(
    ([field, codec]) => `\`${field}\` ${shapeText(codec.describe, seen)}`,
  );
  const numberText = number < 0xff00 ? String(number) : `0x${number.toString(16).toUpperCase()}`;
  const replyNumbers = replies.map((reply) => MESSAGES[reply as MessageName].number).join(', ');
  const answer = kind === 'request' ? replyNumbers || 'none' : kind;
  return `| ${numberText} | \`${name}\` | ${answer} | ${doc} | ${fieldTexts.join('<br>') || '–'} |`;
}

function subjectSection(title: string, names: readonly MessageName[], seen: NamedShapes): string[] {
  const head = ['| # | name | answered by | what | fields |', '|---|---|---|---|---|'];
  return [`## ${title}`, '', ...head, ...names.map((name) => messageRow(name, seen)), ''];
}

function typeRows(seen: NamedShapes): string[] {
  return [...seen]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(
      ([name, { of, secret }]) => `| \`${name}\` | ${shapeText(of, seen)}${secret ? '; never logged' : ''} |`,
    );
}

/** The whole of `docs/messages.md`, ending with a newline. */
export function renderMessagesDocument(): string {
  const seen: NamedShapes = new Map();
  const sections = MESSAGE_SUBJECTS.flatMap(({ title, messages }) =>
    subjectSection(title, Object.keys(messages) as MessageName[], seen),
  );
  const lines = [
    '# Messages',
    '',
    '<!-- Generated from the message table of packages/wire. Edit the table, not this page. -->',
    '',
    'Every message a signer of this project understands or sends. Names beginning with `hsmd_`, `hsmstatus_` and',
    '`status_` are Core Lightning’s (protocol versions 5 and 6), those beginning with `vls_` are VLS’s own.',
    '',
    'A message is a big-endian u16 number and its fields one after the other; integers are big-endian unless said',
    'otherwise. Arrays stand behind a u16 count, optional values behind a byte 0 or 1. A wirestring is UTF-8 without',
    `control characters, ended by a zero byte, at most ${WIRESTRING_BYTES_MAX} bytes. TLV streams follow BOLT 1.`,
    `A message has at most ${MESSAGE_LIMITS.messageBytesMax} bytes. Bytes after the last field are accepted, as CLN does, and reported.`,
    '',
    'Requests, replies and statuses have number spaces of their own: 1000 is a ping from a node, and a',
    '`client_bad_request` on the status socket.',
    '',
    `The numbers ${EXTENSION_NUMBERS.first}–${EXTENSION_NUMBERS.last} are kept for this project’s own messages: requests in the lower half,`,
    'a reply 50 above its request. Their names begin with `countersign_`.',
    '',
    'VLS’s second message 20, `SignLocalHtlcTx2`, is left out: the number belongs to `hsmd_sign_remote_htlc_tx`, so it',
    'cannot be told apart.',
    '',
    'The chain comes by 4001 to 4004 on `node.sock`, by VLS’s messages (2002 to 2006 and 2009) there, or from the signer’s own',
    'follower. Of VLS’s: contents come whole, with witnesses; proofs of absence are accepted and not read. A removal takes nothing',
    'from the signer: the blocks that follow are collected until they have more work. A refusal (3000) ends what the connection',
    'has begun; `vls_tip_info` says where to go on.',
    '',
    ...sections,
    '## Types',
    '',
    '| name | form |',
    '|---|---|',
    ...typeRows(seen),
    '',
  ];
  return lines.join('\n');
}
