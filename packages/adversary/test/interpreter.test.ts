/**
 * The script machine against bitcore-lib's port of Bitcoin Core's: valid spends of everything a channel leaves on chain,
 * and the same changed in every way at hand.
 */
import bitcore from 'bitcore-lib';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  assemble,
  concatBytes,
  fromHex,
  hash160,
  opcodes,
  p2pkhScript,
  p2sh,
  p2trOfKey,
  p2wpkh,
  p2wsh,
  publicKeyOf,
  pushScript,
  SIGHASH,
  serializeTx,
  sighashLegacy,
  sighashTaproot,
  sighashV0,
  sign,
  signSchnorr,
  type Tx,
  type TxOutput,
  taggedHash,
  toHex,
  toScriptSignature,
  tweakKey,
  whyInputFails,
  xOnly,
} from '../src/index.ts';
import {
  CAPACITY,
  commitmentOf,
  filled,
  fundingOutput,
  htlcCases,
  type SpendCase,
  signedCommitment,
  spendCases,
} from './channel.ts';

const { Interpreter } = bitcore.Script;
const FLAGS =
  Interpreter.SCRIPT_VERIFY_P2SH |
  Interpreter.SCRIPT_VERIFY_STRICTENC |
  Interpreter.SCRIPT_VERIFY_DERSIG |
  Interpreter.SCRIPT_VERIFY_LOW_S |
  Interpreter.SCRIPT_VERIFY_NULLDUMMY |
  Interpreter.SCRIPT_VERIFY_MINIMALDATA |
  Interpreter.SCRIPT_VERIFY_CHECKLOCKTIMEVERIFY |
  Interpreter.SCRIPT_VERIFY_CHECKSEQUENCEVERIFY |
  Interpreter.SCRIPT_VERIFY_WITNESS |
  Interpreter.SCRIPT_VERIFY_MINIMALIF |
  Interpreter.SCRIPT_VERIFY_NULLFAIL |
  Interpreter.SCRIPT_VERIFY_WITNESS_PUBKEYTYPE;

function bitcoreAccepts({ tx, spent }: SpendCase): boolean {
  const input = tx.inputs[0];
  return new Interpreter().verify(
    new bitcore.Script(Buffer.from(input?.scriptSig ?? [])),
    new bitcore.Script(Buffer.from(spent.script)),
    new bitcore.Transaction(toHex(serializeTx(tx))),
    0,
    FLAGS,
    (input?.witness ?? []).map((item) => Buffer.from(item)),
    Number(spent.value),
  );
}

const fault = ({ tx, spent }: SpendCase): string | undefined => whyInputFails(tx, 0, [spent]);

const key = filled(7);
const point = publicKeyOf(key);
const bare = (scriptSig: Uint8Array = new Uint8Array(0)): Tx => ({
  version: 2,
  inputs: [{ txid: filled(3), vout: 0, scriptSig, sequence: 0, witness: [] }],
  outputs: [{ value: 1000n, script: p2wpkh(point) }],
  locktime: 0,
});
const witnessed = (tx: Tx, ...witness: Uint8Array[]): Tx => ({
  ...tx,
  inputs: tx.inputs.map((input) => ({ ...input, witness })),
});
const keyHash = p2pkhScript(hash160(point));
const byKey = (tx: Tx): Uint8Array =>
  toScriptSignature(sign(sighashV0(tx, 0, keyHash, 2000n, SIGHASH.ALL), key), SIGHASH.ALL);

function walletCases(): SpendCase[] {
  const nested = bare(pushScript(p2wpkh(point)));
  const legacy = toScriptSignature(sign(sighashLegacy(bare(), 0, keyHash, 1), key), 1);
  const spent = (script: Uint8Array): TxOutput => ({ value: 2000n, script });
  return [
    { name: 'p2wpkh', tx: witnessed(bare(), byKey(bare()), point), spent: spent(p2wpkh(point)) },
    { name: 'p2sh-p2wpkh', tx: witnessed(nested, byKey(nested), point), spent: spent(p2sh(p2wpkh(point))) },
    { name: 'p2pkh', tx: bare(assemble([legacy, point])), spent: spent(keyHash) },
  ];
}

function channelCases(): SpendCase[] {
  return (['static_remotekey', 'anchors_zero_fee_htlc'] as const).flatMap((kind) => {
    const commitment = commitmentOf(kind, { txid: filled(5), vout: 1 });
    return [
      { name: 'commitment', tx: signedCommitment(commitment), spent: fundingOutput },
      ...htlcCases(commitment),
      ...spendCases(commitment),
    ].map((one) => ({ ...one, name: `${kind}: ${one.name}` }));
  });
}

const all = [...walletCases(), ...channelCases()];

/** One change to a spend; most of them make it invalid, some do not. */
type Change = (one: SpendCase) => SpendCase;
const onInput = (one: SpendCase, change: (input: Tx['inputs'][number]) => object): SpendCase => ({
  ...one,
  tx: { ...one.tx, inputs: one.tx.inputs.map((input) => ({ ...input, ...change(input) })) },
});
const onWitness = (one: SpendCase, change: (witness: readonly Uint8Array[]) => readonly Uint8Array[]) =>
  onInput(one, ({ witness }) => ({ witness: change(witness) }));

const change: fc.Arbitrary<Change> = fc.oneof(
  fc.tuple(fc.nat(5), fc.nat(200), fc.nat(7)).map(
    ([at, byte, bit]): Change =>
      (one) =>
        onWitness(one, (witness) =>
          witness.map((item, i) =>
            i !== at % witness.length
              ? item
              : item.map((value, j) => (j === byte % item.length ? value ^ (1 << bit) : value)),
          ),
        ),
  ),
  fc.nat(5).map(
    (at): Change =>
      (one) =>
        onWitness(one, (witness) => witness.filter((_, i) => i !== at)),
  ),
  fc.tuple(fc.nat(5), fc.nat(5)).map(
    ([a, b]): Change =>
      (one) =>
        onWitness(one, (witness) =>
          witness.map((item, i) => (i === a ? (witness[b] ?? item) : i === b ? (witness[a] ?? item) : item)),
        ),
  ),
  fc.tuple(fc.nat(5), fc.constantFrom('', '00', '01', '02', '0100', '80', '81')).map(
    ([at, hex]): Change =>
      (one) =>
        onWitness(one, (witness) => witness.map((item, i) => (i === at ? fromHex(hex) : item))),
  ),
  fc.constant<Change>((one) => onWitness(one, (witness) => [new Uint8Array(0), ...witness])),
  fc.constantFrom(0, 1, 2, 5, 6, 7, 15, 16, 17, 0x400006, 0x80000006, 0xfffffffe, 0xffffffff).map(
    (sequence): Change =>
      (one) =>
        onInput(one, () => ({ sequence })),
  ),
  fc.constantFrom(0, 149, 150, 151, 500_000_000, 500_000_150).map(
    (locktime): Change =>
      (one) => ({ ...one, tx: { ...one.tx, locktime } }),
  ),
  fc.constantFrom(1, 2, 3).map(
    (version): Change =>
      (one) => ({ ...one, tx: { ...one.tx, version } }),
  ),
  fc.constant<Change>((one) => ({ ...one, spent: { ...one.spent, value: one.spent.value + 1n } })),
  fc.constant<Change>((one) =>
    onInput(one, ({ scriptSig }) => ({ scriptSig: concatBytes(scriptSig, fromHex('51')) })),
  ),
);

describe('what a channel leaves on chain', () => {
  test.each(all)('$name is valid', (one) => {
    expect(fault(one)).toBeUndefined();
    expect(bitcoreAccepts(one)).toBe(true);
  });

  const locks = [
    ...[0, 1, 5, 6, 7, 15, 16, 17, 0x400006, 0x400010, 0x80000010, 0xffffffff].map((sequence) => ({
      sequence,
    })),
    ...[0, 149, 150, 151, 500_000_000].map((locktime) => ({ locktime })),
    { sequence: 0xffffffff, locktime: 150 },
  ];
  test.each(['static_remotekey', 'anchors_zero_fee_htlc'] as const)(
    '%s: signed with other locks, it is valid just where bitcore says so',
    (kind) => {
      const commitment = commitmentOf(kind, { txid: filled(5), vout: 1 });
      const results = locks.flatMap((instead) =>
        spendCases(commitment, instead).map((one) => [
          instead,
          one.name,
          fault(one) === undefined,
          bitcoreAccepts(one),
        ]),
      );
      expect(results.filter(([, , mine, theirs]) => mine !== theirs)).toEqual([]);
    },
  );

  test('an anchor is anyone’s with an empty signature, not with one that fails', () => {
    const commitment = commitmentOf('anchors_zero_fee_htlc', { txid: filled(5), vout: 1 });
    const anyone = spendCases(commitment).find(({ name }) => name.includes('anyone')) as SpendCase;
    const failing = onWitness(anyone, ([, code]) => [byKey(bare()), code as Uint8Array]);
    expect([fault(anyone), fault(failing)]).toEqual([undefined, 'NULLFAIL']);
    expect(bitcoreAccepts(failing)).toBe(false);
  });

  test('changed, it is valid just where bitcore says so', () => {
    let [valid, invalid] = [0, 0];
    fc.assert(
      fc.property(
        fc.constantFrom(...all),
        fc.array(change, { minLength: 1, maxLength: 2 }),
        (one, changes) => {
          const changed = changes.reduce((current, apply) => apply(current), one);
          const accepted = bitcoreAccepts(changed);
          if (accepted) valid++;
          else invalid++;
          expect([fault(changed) === undefined, fault(changed)]).toEqual([accepted, fault(changed)]);
        },
      ),
      { numRuns: 150 },
    );
    expect(valid).toBeGreaterThan(0);
    expect(invalid).toBeGreaterThan(50);
  });
});

describe('relay rules, one by one', () => {
  const scripted = (script: Uint8Array, witness: readonly Uint8Array[], tx = bare()): SpendCase => ({
    name: '',
    tx: witnessed(tx, ...witness, script),
    spent: { value: CAPACITY, script: p2wsh(script) },
  });
  const script = (...chunks: (number | Uint8Array)[]) => assemble(chunks);
  const op = (name: string): number => Reflect.get(opcodes, `OP_${name}`) as number;

  test.each([
    ['MINIMALIF', scripted(script(op('IF'), op('1'), op('ENDIF')), [fromHex('02')]), 'MINIMALIF'],
    ['ELSE alone', scripted(script(op('ELSE')), []), 'ELSE'],
    ['ENDIF alone', scripted(script(op('ENDIF')), []), 'ENDIF'],
    ['IF left open', scripted(script(op('IF'), op('1')), [fromHex('01')]), 'ENDIF'],
    ['a stack that is not clean', scripted(script(op('1')), [fromHex('01')]), 'clean'],
    ['an empty stack', scripted(script(op('NOP')), []), 'clean'],
    ['false at the end', scripted(script(op('0')), []), 'false'],
    ['negative zero', scripted(script(op('NOP')), [fromHex('80')]), 'false'],
    ['nothing to drop', scripted(script(op('DROP')), []), 'empty'],
    ['VERIFY of false', scripted(script(op('0'), op('VERIFY')), []), 'VERIFY'],
    ['a push that is cut off', scripted(fromHex('4cff'), []), 'beyond'],
    ['a push that is not minimal', scripted(fromHex('4c0155'), []), 'minimal'],
    ['an element too long', scripted(script(op('NOP')), [new Uint8Array(521).fill(1)]), 'too long'],
    ['a script too long', scripted(new Uint8Array(10_001).fill(0x61), []), 'too long'],
    ['another script', { ...scripted(script(op('1')), []), spent: fundingOutput }, 'another witness script'],
    [
      'an unknown program',
      { ...scripted(script(op('1')), []), spent: { value: 1n, script: fromHex('5202aabb') } },
      'unknown',
    ],
  ])('%s', (_, one, expected) => {
    expect(fault(one as SpendCase)).toContain(expected);
  });

  test('an opcode that has no place here makes a script invalid, reached or not only when reached', () => {
    expect(fault(scripted(script(op('1'), op('1'), op('ADD')), []))).toContain('no place');
    const skipped = script(op('0'), op('IF'), op('ADD'), op('ELSE'), op('1'), op('ENDIF'));
    expect(fault(scripted(skipped, []))).toBeUndefined();
  });

  test('sizes are numbers as scripts have them', () => {
    const sized = (length: number, expected: string) =>
      fault(
        scripted(script(op('SIZE'), fromHex(expected), op('EQUALVERIFY'), op('DROP'), op('1')), [
          new Uint8Array(length),
        ]),
      );
    expect([sized(128, '8000'), sized(255, 'ff00'), sized(256, '0001'), sized(20, '14')]).toEqual([
      undefined,
      undefined,
      undefined,
      undefined,
    ]);
    expect(sized(128, '80')).toBeDefined();
  });
});

describe('taproot by key', () => {
  // bitcore-lib checks no taproot signature against other inputs: here signatures are made and changed. The key's y is even.
  const outputKey = tweakKey(key, taggedHash('TapTweak', xOnly(point)));
  const spent = { value: 2000n, script: p2trOfKey(point) };
  const other = { value: 3000n, script: p2wpkh(point) };
  const signed = (type: number, tx = bare()): SpendCase => {
    const signature = signSchnorr(sighashTaproot(tx, 0, [spent], type), outputKey);
    return {
      name: '',
      tx: witnessed(tx, type === 0 ? signature : concatBytes(signature, Uint8Array.of(type))),
      spent,
    };
  };

  test.each([0, 1, 2, 3, 0x81, 0x82, 0x83])('sighash type %i', (type) => {
    const one = signed(type);
    expect(fault(one)).toBeUndefined();
    expect(fault({ ...one, spent: { ...spent, value: 2001n } })).toBe('not signed');
    expect(
      fault(onWitness(one, ([item]) => [(item as Uint8Array).map((byte, i) => (i === 9 ? byte ^ 1 : byte))])),
    ).toBe('not signed');
  });

  test('malformed, and ways that are not followed', () => {
    const one = signed(0);
    const extended = (byte: number) =>
      fault(onWitness(one, ([item]) => [concatBytes(item as Uint8Array, Uint8Array.of(byte))]));
    expect([extended(0), extended(4)]).toEqual(['malformed signature', 'malformed signature']);
    expect(fault(onWitness(one, () => [new Uint8Array(63)]))).toBe('malformed signature');
    expect(fault(onWitness(one, (witness) => [...witness, ...witness]))).toContain('one signature');
    expect(fault(onWitness(one, () => []))).toContain('one signature');
    expect(fault(onInput(one, () => ({ scriptSig: fromHex('51') })))).toContain('scriptSig');
    expect(whyInputFails(one.tx, 1, [spent])).toBe('no such input');
  });

  test('commits to all that is spent; a single output must be there', () => {
    const tx: Tx = {
      ...bare(),
      inputs: [...bare().inputs, { ...(bare().inputs[0] as Tx['inputs'][0]), vout: 9 }],
    };
    const signature = (index: number, type: number) =>
      concatBytes(
        signSchnorr(
          sighashTaproot(tx, index, index === 0 ? [spent, other] : [other, spent], type),
          outputKey,
        ),
        Uint8Array.of(type),
      );
    const first = { ...tx, inputs: tx.inputs.map((input) => ({ ...input, witness: [signature(0, 1)] })) };
    expect(whyInputFails(first, 0, [spent, other])).toBeUndefined();
    expect(whyInputFails(first, 0, [spent, { ...other, value: 1n }])).toBe('not signed');
    const single = { ...tx, inputs: tx.inputs.map((input) => ({ ...input, witness: [signature(0, 3)] })) };
    expect(whyInputFails(single, 1, [other, spent])).toContain('single');
  });
});
