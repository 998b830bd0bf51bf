import { readFileSync } from 'node:fs';
import { describe, expect, expectTypeOf, test } from 'vitest';
import {
  constant,
  definitionOf,
  EXTENSION_NUMBERS,
  hexBytes,
  isRequestName,
  largeOctets,
  list,
  MESSAGES,
  type MessageName,
  type MessageOf,
  map,
  messageNames,
  type ReplyTo,
  type Request,
  renderMessagesDocument,
  type Shape,
  shapeText,
  struct,
  u8,
  variant,
  versioned,
} from '../src/index.ts';
import { VECTORS } from './recording.ts';

const camel = (name: string): string => name.replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase());

interface CsvMessage {
  readonly number: number;
  readonly fields: string[];
}

/** The csv of CLN: messages with fields as `name: type`, a counted array as `name: [type]`. */
function parseCsv(text: string): { messages: Map<string, CsvMessage>; tlvs: Map<string, string[]> } {
  const rows = text
    .split('\n')
    .filter((line) => line !== '' && !/^[#\s]/.test(line))
    .map((line) => line.split(','));
  const messages = new Map<string, CsvMessage>();
  const tlvs = new Map<string, string[]>();
  const counts = new Set(
    rows.filter(([kind, , , , count]) => kind === 'msgdata' && count).map((row) => `${row[1]},${row[4]}`),
  );
  for (const [kind, owner = '', field = '', type = '', count = ''] of rows) {
    if (kind === 'msgtype') messages.set(owner, { number: Number(field), fields: [] });
    if (kind === 'msgdata' && !counts.has(`${owner},${field}`))
      messages.get(owner)!.fields.push(`${camel(field)}: ${count === '' ? type : `[${type}]`}`);
    if (kind === 'tlvdata') tlvs.get(owner)!.push(`${camel(field)}: ${count}`);
    if (kind === 'tlvtype') tlvs.set(owner, [...(tlvs.get(owner) ?? []), `${type}`]);
  }
  return { messages, tlvs };
}

/** Where the table is sharper than the csv, or wider. */
const SHARPER: Readonly<Record<string, string>> = {
  push_value: 'amount_msat',
  shaseed: 'sha256',
  peer_id: 'node_id',
};

/** The csv's word for a shape. */
function csvType(shape: Shape): string {
  switch (shape.kind) {
    case 'uint':
      return `u${shape.bits}`;
    case 'u64':
    case 'bool':
      return shape.kind;
    case 'octets':
      return '[u8]';
    case 'text':
      return 'wirestring';
    case 'option':
      return `?${csvType(shape.of)}`;
    case 'list':
      return `[${csvType(shape.of)}]`;
    case 'named':
      return SHARPER[shape.name] ?? shape.name;
    default:
      return shape.kind;
  }
}

const fieldTexts = (name: MessageName): string[] =>
  Object.entries(definitionOf(name).fields).map(([field, codec]) => `${field}: ${csvType(codec.describe)}`);

describe('the table against CLN’s hsmd_wire.csv', () => {
  const { messages, tlvs } = parseCsv(readFileSync(new URL('hsmd_wire.csv', VECTORS), 'utf8'));
  const ours = messageNames.filter((name) => /^(hsmd|hsmstatus)_/.test(name));

  test('has the same messages', () => {
    expect(messages.size).toBe(89);
    expect(ours.toSorted()).toEqual([...messages.keys()].toSorted());
  });

  test.each(ours)('%s has the same number, fields, order and types', (name) => {
    const expected = messages.get(name)!;
    expect(definitionOf(name).number).toBe(expected.number);
    expect(fieldTexts(name)).toEqual(expected.fields.map((field) => field.replace(/: \w+_tlvs$/, ': tlv')));
  });

  test.each([...tlvs.keys()])('%s has the same types', (owner) => {
    const name = owner.replace(/_tlvs$/, '') as MessageName;
    const shape = definitionOf(name).fields.tlvs!.describe;
    if (shape.kind !== 'tlv') return expect.fail('no TLV stream');
    const types = shape.records.map(({ type }) => String(type));
    const csv = tlvs.get(owner)!.filter((text) => /^\d+$/.test(text));
    // VLS adds its own above 248.
    expect(types.filter((type) => Number(type) < 249)).toEqual(csv);
  });
});

describe('the table itself', () => {
  test('names only replies that are there', () => {
    for (const name of messageNames) {
      for (const reply of definitionOf(name).replies)
        expect(MESSAGES[reply as MessageName].kind).toBe('reply');
    }
  });

  test('every request but the developer’s preinit is answered', () => {
    const silent = messageNames.filter(
      (name) => definitionOf(name).kind === 'request' && definitionOf(name).replies.length === 0,
    );
    expect(silent).toEqual(['hsmd_dev_preinit']);
  });

  test('*_check requests are answered with 138 and 139, as CLN does', () => {
    expect(MESSAGES.hsmd_preapprove_invoice_check.replies).toEqual(['hsmd_preapprove_invoice_reply']);
    expect(MESSAGES.hsmd_preapprove_keysend_check.replies).toEqual(['hsmd_preapprove_keysend_reply']);
  });

  test('the extension range holds this project’s own messages, each reply 50 above its request', () => {
    const { first, last } = EXTENSION_NUMBERS;
    const taken = messageNames.filter(
      (name) => MESSAGES[name].number >= first && MESSAGES[name].number <= last,
    );
    expect(taken).toEqual(messageNames.filter((name) => name.startsWith('countersign_')));
    for (const name of taken) {
      const { number, replies } = definitionOf(name);
      if (!isRequestName(name)) continue;
      expect(number).toBeLessThan(first + 50);
      expect(replies.map((reply) => definitionOf(reply as MessageName).number)).toEqual([number + 50]);
    }
  });

  test('VLS messages have the numbers of its protocol', () => {
    const numbers = messageNames
      .filter((name) => name.startsWith('vls_'))
      .map((name) => MESSAGES[name].number);
    expect(numbers.toSorted((a, b) => a - b)).toEqual([
      16, 90, 113, 190, 1000, 1005, 1006, 1011, 1012, 1018, 1019, 1021, 1035, 1036, 1100, 1106, 1111, 1112,
      1118, 1119, 1136, 2002, 2003, 2004, 2005, 2006, 2008, 2009, 2102, 2103, 2104, 2105, 2106, 2108, 2109,
      3000,
    ]);
  });

  test('requests are told by name', () => {
    expect(isRequestName('hsmd_ecdh_req')).toBe(true);
    expect(isRequestName('hsmd_ecdh_resp')).toBe(false);
  });

  test('secrets are marked', () => {
    const marked = (name: MessageName, field: string): boolean => {
      const shape = definitionOf(name).fields[field]!.describe;
      const inner = shape.kind === 'option' ? shape.of : shape;
      return inner.kind === 'named' && inner.secret;
    };
    expect(marked('hsmd_ecdh_resp', 'ss')).toBe(true);
    expect(marked('hsmd_init', 'hsmEncryptionKey')).toBe(true);
    expect(marked('hsmd_init', 'devForceChannelSecretsShaseed')).toBe(true);
    expect(marked('hsmd_init', 'chainparams')).toBe(false);
  });
});

describe('types', () => {
  test('follow from the table', () => {
    expectTypeOf<MessageOf<'hsmd_ecdh_req'>>().toEqualTypeOf<{
      readonly name: 'hsmd_ecdh_req';
      readonly point: Uint8Array;
    }>();
    expectTypeOf<
      ReplyTo<'hsmd_preapprove_invoice_check'>['name']
    >().toEqualTypeOf<'hsmd_preapprove_invoice_reply'>();
    expectTypeOf<ReplyTo<'hsmd_init'>['name']>().toEqualTypeOf<
      'hsmd_init_reply_v4' | 'hsmd_init_reply_failure' | 'vls_hsmd_init_reply_v2'
    >();
    expectTypeOf<ReplyTo<'hsmd_dev_preinit'>>().toBeNever();
    expectTypeOf<
      Extract<Request, { name: 'hsmd_revoke_commitment_tx' }>['commitNum']
    >().toEqualTypeOf<bigint>();
    expectTypeOf<Extract<Request, { name: 'hsmd_ecdh_resp' }>>().toBeNever();
  });
});

describe('docs/messages.md', () => {
  const document = renderMessagesDocument();

  test('lists every message once, and every named type', () => {
    for (const name of messageNames) expect(document.split(`| \`${name}\` |`)).toHaveLength(2);
    for (const type of ['node_id', 'hsm_utxo', 'unilateral_close_info', 'bitcoin_tx', 'wally_psbt'])
      expect(document).toContain(`| \`${type}\` |`);
  });

  test('describes record shapes too', () => {
    const codec = versioned(
      3,
      struct({
        kind: constant('a'),
        ids: map(hexBytes(32), list(u8)),
        state: variant('state', { open: [1, {}], closed: [2, { at: u8 }] }),
        blob: largeOctets(9),
      }),
    );
    expect(shapeText(codec.describe)).toBe(
      'version 3, then kind: ‘a’; ids: map of 32 bytes to [u8, u32 count]; state: 1 open | 2 closed; ' +
        'blob: bytes, u32 length',
    );
  });

  test('every row has as many cells as its head', () => {
    for (const line of document.split('\n').filter((row) => /^\| (\d|0x)/.test(row)))
      expect(line.split(' | ')).toHaveLength(5);
  });
});
