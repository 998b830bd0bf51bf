/** Attacks on laws 4 and 5 and on the use of keys: delays, destinations, fees, foreign signatures. A50 to A69. */
import {
  ANCHOR_SAT,
  addPsbtBip32Derivation,
  anchorScript,
  concat,
  fundingScript,
  hash160,
  PSBT_OUT,
  type Psbt,
  p2wpkhOfKey,
  p2wshOfScript,
  psbtSpentOutput,
  SIGHASH,
  sat,
  setPsbtSighashType,
  setPsbtWitnessScript,
  type Transaction,
  type TxOutput,
  toHex,
  toLocalScript,
  txid,
} from '@countersign/bitcoin';
import type { MessageOf, Request } from '@countersign/wire';
import { type Balances, type Funding, type ModelHtlc, retx } from '../../packages/core/test/channel-model.ts';
import { bytesOf } from '../../packages/core/test/test-signer.ts';
import { attacks, type Scenario } from './attack.ts';
import { LAW_5 } from './catalogue.ts';
import { AttackChannel, coinOf, type OpenOptions } from './channel.ts';
import { fairClose } from './closing.ts';
import { announcement, bip143Preimage } from './foreign.ts';
import { paying } from './payments.ts';
import { type Coin, psbtWith, spend, toStranger, toWallet, walletCoin, withdrawalOf } from './wallet.ts';
import { type AttackWorld, HUB, secp } from './world.ts';

const UNKNOWN = 'policy-onchain-no-unknown-outputs';
const COUNTERSIGNED = 'policy-onchain-initial-commitment-countersigned';
const KEY_USE = 'policy-key-use';
const SIGHASH_RULE = 'policy-sighash';
const GENERIC = 'policy-generic-error';
const FEE_SAT = 500n;

const opened = (world: AttackWorld, options: OpenOptions = {}) => new AttackChannel(world, options).open();

/** A coin of the wallet, and the honest spend of it that stays in the wallet. */
function coin(world: AttackWorld, label: string, valueSat = 300_000n, keyindex = 2): Coin {
  return walletCoin(world.keys, keyindex, valueSat, world.unique(label));
}

function consolidation(world: AttackWorld, ...coins: readonly Coin[]): Request {
  const total = coins.reduce((sum, { utxo }) => sum + utxo.amount, 0n);
  const outputs = [toWallet(world.keys, 6, total - FEE_SAT)];
  return withdrawalOf(
    spend(
      coins.map(({ utxo }) => utxo.outpoint),
      outputs,
    ),
    coins,
  );
}

const openings: readonly Scenario[] = [
  {
    id: 'A50',
    async run(world) {
      const channel = new AttackChannel(world);
      const setup = channel.model.setup();
      const ours = 'policy-channel-contest-delay-range-holder';
      const theirs = 'policy-channel-contest-delay-range-counterparty';
      // BOLT 2: what we name is imposed on the peer, and the other way round. Regtest: 4 to 2016 blocks.
      for (const localToSelfDelay of [0, 1, 3]) await channel.refused({ ...setup, localToSelfDelay }, theirs);
      for (const remoteToSelfDelay of [2017, 60_000])
        await channel.refused({ ...setup, remoteToSelfDelay }, ours);
      await channel.open();
      await channel.goesOn();
    },
  },
  ...(
    [
      [
        "the attacker's script",
        'policy-onchain-output-scriptpubkey',
        (output) => ({ ...output, script: toStranger(1n).script }),
      ],
      [
        "a 2-of-2 with the attacker's key in our place",
        'policy-onchain-output-scriptpubkey',
        (output, funding) => ({
          ...output,
          script: p2wshOfScript(fundingScript(secp.publicKey(bytesOf('not ours')), funding.peerKey)),
        }),
      ],
      [
        'one satoshi less',
        'policy-onchain-output-match-commitment',
        (output) => ({ ...output, value: sat(output.value - 1n) }),
      ],
      [
        'one satoshi more',
        'policy-onchain-output-match-commitment',
        (output) => ({ ...output, value: sat(output.value + 1n) }),
      ],
    ] as readonly (readonly [string, string, (output: TxOutput, funding: Funding) => TxOutput])[]
  ).map(
    ([variant, tag, change]): Scenario => ({
      id: 'A51',
      variant,
      async run(world) {
        const channel = new AttackChannel(world, { isOutbound: true });
        const { model, funding } = channel;
        const tx = {
          ...funding.tx,
          outputs: funding.tx.outputs.with(1, change(funding.tx.outputs[1]!, funding)),
        };
        const wrong: Funding = { ...funding, tx, outpoint: { txid: txid(tx), vout: 1 } };
        await channel.ask(model.setup(wrong));
        await channel.ask(model.signRemote(0, channel.balances, wrong));
        await channel.ask(model.validate(0, channel.balances, wrong));
        await channel.refused(withdrawalOf(tx, [coinOf(funding)]), tag);
        const honest = await opened(world, { isOutbound: true });
        await honest.goesOn();
      },
    }),
  ),
  {
    id: 'A52',
    async run(world) {
      const channel = new AttackChannel(world, { isOutbound: true });
      const { model } = channel;
      await channel.refused(channel.fundingRequest(), UNKNOWN);
      world.refusals.pop();
      await channel.ask(model.setup());
      await channel.refused(channel.fundingRequest(), COUNTERSIGNED);
      await channel.ask(model.signRemote(0, channel.balances));
      await channel.refused(channel.fundingRequest(), COUNTERSIGNED);
      await channel.ask(model.validate(0, channel.balances));
      await channel.fund();
      await channel.ask(model.lock(channel.funding));
      await channel.goesOn();
    },
  },
];

const spends: readonly Scenario[] = [
  {
    id: 'A53',
    async run(world) {
      const one = coin(world, 'withdrawn');
      const tx = spend([one.utxo.outpoint], [toStranger(250_000n), toWallet(world.keys, 6, 49_500n)]);
      await world.refused(withdrawalOf(tx, [one]), UNKNOWN);
      await world.refused(withdrawalOf(tx, [one]), UNKNOWN);
      await world.ask(consolidation(world, one));
    },
  },
  {
    id: 'A54',
    async run(world) {
      const one = coin(world, 'approved', 900_000n);
      const stranger = toStranger(100_000n);
      const change = toWallet(world.keys, 6, 799_500n);
      const tx = spend([one.utxo.outpoint], [stranger, change]);
      await world.refused(withdrawalOf(tx, [one]), UNKNOWN);
      await world.operator('approve', { target: toHex(txid(tx).toReversed()) });
      const another = spend(
        [one.utxo.outpoint],
        [stranger, toStranger(50_000n, 'another'), toWallet(world.keys, 6, 749_500n)],
      );
      await world.refused(withdrawalOf(another, [one]), UNKNOWN);
      const twice = spend(
        [one.utxo.outpoint],
        [{ ...stranger, value: sat(200_000n) }, toWallet(world.keys, 6, 699_500n)],
      );
      await world.refused(withdrawalOf(twice, [one]), UNKNOWN);
      // The change goes to fees instead: not the transaction that was approved, and a fee out of range.
      const burnt = spend([one.utxo.outpoint], [stranger, toWallet(world.keys, 6, 99_500n)]);
      await world.refused(withdrawalOf(burnt, [one]), [UNKNOWN, 'policy-onchain-fee-range']);
      await world.ask(withdrawalOf(tx, [one]));
    },
  },
  {
    id: 'A54',
    variant: 'the approved one itself has a fee out of range',
    async run(world) {
      const one = coin(world, 'burnt', 900_000n);
      const tx = spend(
        [one.utxo.outpoint],
        [toStranger(100_000n, 'a payee'), toWallet(world.keys, 6, 99_500n)],
      );
      await world.refused(withdrawalOf(tx, [one]), [UNKNOWN, 'policy-onchain-fee-range']);
      await world.operator('approve', { target: toHex(txid(tx).toReversed()) }).catch(() => null);
      await world.refused(withdrawalOf(tx, [one]), 'policy-onchain-fee-range');
    },
  },
  {
    id: 'A55',
    async run(world) {
      const [a, b] = [coin(world, 'first', 5_000_000n), coin(world, 'second', 5_000_000n, 3)];
      const tx = spend([a.utxo.outpoint, b.utxo.outpoint], [toWallet(world.keys, 6, 5_000_500n)]);
      // Each time one of the amounts is false: together the two signatures spend ten million and pay five.
      for (const [low, high] of [
        [a, b],
        [b, a],
      ] as const) {
        const said = [low, high].map(({ utxo, parent }) => ({
          utxo: utxo === low.utxo ? { ...utxo, amount: sat(1000n) } : utxo,
          parent,
        }));
        const others = new Map(
          tx.inputs.map((_, i) => {
            const value = (i === 0 ? a : b) === low ? sat(1000n) : sat(5_000_000n);
            return [i, { value, script: (i === 0 ? a : b).utxo.scriptPubkey }] as const;
          }),
        );
        const psbt = psbtWith(tx, [], others);
        const inputs = said.map(({ utxo }) => utxo);
        await world.refused(
          { name: 'hsmd_sign_withdrawal', inputs, psbt },
          'policy-onchain-input-amounts-proven',
        );
      }
      await world.ask(consolidation(world, a, b));
    },
  },
  {
    id: 'A56',
    async run(world) {
      const one = coin(world, 'far change');
      const far = 2 ** 31 - 1;
      const script = p2wpkhOfKey(world.keys.walletPublicKey(far)!);
      const tx = spend([one.utxo.outpoint], [{ value: sat(299_500n), script }]);
      const request = withdrawalOf(tx, [one]);
      await world.refused(request, ['policy-onchain-wallet-path-predictable', UNKNOWN]);
      await world.refused(
        { ...request, psbt: withOutputOrigin(request.psbt, 0, world.keys.walletPublicKey(far)!, far) },
        ['policy-onchain-wallet-path-predictable', UNKNOWN],
      );
      world.refusals = world.refusals.map((refusal) => ({
        ...refusal,
        tag: 'policy-onchain-wallet-path-predictable',
      }));
      await world.ask(consolidation(world, one));
    },
  },
  {
    id: 'A64',
    async run(world) {
      const [a, b] = [coin(world, 'first'), coin(world, 'second', 300_000n, 3)];
      const honest = consolidation(world, a, b);
      if (honest.name !== 'hsmd_sign_withdrawal') throw new Error(honest.name);
      const types = [SIGHASH.NONE, SIGHASH.SINGLE, 0x81, 0x82, 0x83, 0x04, 0x101];
      for (const input of [0, 1])
        for (const type of types)
          await world.refused(
            { ...honest, psbt: setPsbtSighashType(honest.psbt, input, type) },
            SIGHASH_RULE,
          );
      await world.ask({ ...honest, psbt: setPsbtSighashType(honest.psbt, 0, SIGHASH.ALL) });
    },
  },
  {
    id: 'A64',
    variant: 'taproot, and an anchor spend',
    async run(world) {
      const one = walletCoin(world.keys, 2, 300_000n, world.unique('taproot'), 'p2tr');
      const request = consolidation(world, one);
      if (request.name !== 'hsmd_sign_withdrawal') throw new Error(request.name);
      for (const type of [SIGHASH.NONE, SIGHASH.SINGLE, 0x81, 0x83])
        await world.refused({ ...request, psbt: setPsbtSighashType(request.psbt, 0, type) }, SIGHASH_RULE);
      await world.ask(request);
      const channel = await opened(world);
      const anchor = await anchorSpend(channel, coin(world, 'fee'));
      for (const type of [SIGHASH.NONE, 0x81, 0x83]) {
        await channel.refused({ ...anchor, psbt: setPsbtSighashType(anchor.psbt, 0, type) }, SIGHASH_RULE);
        await channel.refused({ ...anchor, psbt: setPsbtSighashType(anchor.psbt, 1, type) }, SIGHASH_RULE);
      }
      await channel.ask(anchor);
    },
  },
  {
    id: 'A65',
    async run(world) {
      const channel = await opened(world);
      const { model, funding } = channel;
      const one = coin(world, 'fee');
      const outputs = [toWallet(world.keys, 6, one.utxo.amount + funding.valueSat - FEE_SAT)];
      const tx = spend([one.utxo.outpoint, funding.outpoint], outputs);
      const others = new Map([[1, model.fundingOutput(funding)]]);
      const psbt = withOurKey(psbtWith(tx, [one], others), 1, model.holderFundingKey);
      const script = fundingScript(model.holderFundingKey, funding.peerKey);
      const { peerId: peerid, dbid: channelDbid } = model.ref;
      for (const one of [psbt, setPsbtWitnessScript(psbt, 1, script)]) {
        const inputs = [coin(world, 'fee').utxo];
        await channel.refused(
          { name: 'hsmd_sign_anchorspend', peerid, channelDbid, inputs, psbt: one },
          KEY_USE,
        );
      }
      // As a coin of the wallet, which it is not.
      const claimed = { ...one.utxo, outpoint: funding.outpoint, scriptPubkey: model.fundingOutput().script };
      await channel.refused({ name: 'hsmd_sign_withdrawal', inputs: [one.utxo, claimed], psbt }, KEY_USE);
      await channel.goesOn();
    },
  },
];

/** The PSBT says that one of our keys signs this input. */
function withOurKey(psbt: Psbt, index: number, publicKey: Uint8Array): Psbt {
  return addPsbtBip32Derivation(psbt, index, {
    publicKey,
    fingerprint: hash160(publicKey).subarray(0, 4),
    path: [0],
  });
}

/** The PSBT says at which index of the wallet an output lies. */
function withOutputOrigin(psbt: Psbt, index: number, publicKey: Uint8Array, keyindex: number): Psbt {
  const path = Uint8Array.from([...hash160(publicKey).subarray(0, 4), 0, 0, 0, 0]);
  new DataView(path.buffer).setUint32(4, keyindex, true);
  const entry = { type: PSBT_OUT.BIP32_DERIVATION, keyData: publicKey, value: path };
  return { ...psbt, outputs: psbt.outputs.with(index, [entry, ...psbt.outputs[index]!]) };
}

/** Our commitment is signed for broadcast; its anchor and a coin raise its fee. */
async function anchorSpend(
  channel: AttackChannel,
  fee: Coin,
  outputs?: readonly TxOutput[],
): Promise<MessageOf<'hsmd_sign_anchorspend'>> {
  const { model, ourNumber, balances, world } = channel;
  const built = model.build('holder', ourNumber, balances);
  const vout = built.commitment.outputs.findIndex(({ kind }) => kind === 'local_anchor');
  await channel.ask(model.signCommitment(ourNumber, balances));
  const anchor = { value: ANCHOR_SAT, script: p2wshOfScript(anchorScript(model.holderFundingKey)) };
  const back = toWallet(world.keys, 6, fee.utxo.amount + 330n - 2000n);
  const tx = spend([{ txid: txid(built.tx), vout }, fee.utxo.outpoint], outputs ?? [back]);
  const psbt = withOurKey(psbtWith(tx, [fee], new Map([[0, anchor]])), 0, model.holderFundingKey);
  const { peerId: peerid, dbid: channelDbid } = model.ref;
  return {
    name: 'hsmd_sign_anchorspend',
    peerid,
    channelDbid,
    inputs: [fee.utxo],
    psbt: setPsbtWitnessScript(psbt, 0, anchorScript(model.holderFundingKey)),
  };
}

/** The second-level transaction of a received HTLC of our commitment, with a coin that pays its fee. */
function mingle(
  channel: AttackChannel,
  number: number,
  balances: Balances,
  fee: Coin,
  extra: readonly TxOutput[],
): MessageOf<'hsmd_sign_htlc_tx_mingle'> {
  const { model } = channel;
  const built = model.build('holder', number, balances);
  const [second] = built.htlcTransactions;
  const { transaction, spent } = second!;
  const tx: Transaction = {
    ...transaction,
    inputs: [...transaction.inputs, ...spend([fee.utxo.outpoint], []).inputs],
    outputs: [...transaction.outputs, ...extra],
  };
  const others = new Map([[0, built.commitment.outputs[spent.outputIndex]!]]);
  const { peerId: peerid, dbid: channelDbid } = model.ref;
  return {
    name: 'hsmd_sign_htlc_tx_mingle',
    peerid,
    channelDbid,
    inputs: [fee.utxo],
    psbt: psbtWith(tx, [fee], others),
  };
}

const closes: readonly Scenario[] = [
  {
    id: 'A57',
    variant: 'to a foreign script',
    async run(world) {
      const channel = await opened(world);
      const foreign = fairClose(channel, { script: toStranger(1n, 'the attacker').script });
      await channel.refused(foreign, 'policy-mutual-destination-allowlisted');
      await channel.goesOn();
      await channel.ask(fairClose(channel));
    },
  },
  {
    id: 'A57',
    variant: 'our output is short, and missing',
    async run(world) {
      for (const isOutbound of [true, false]) {
        const channel = await opened(world, { isOutbound });
        const tag = 'policy-mutual-value-matches-commitment';
        await channel.refused(fairClose(channel, { shortSat: 100_000n }), tag);
        const missing = fairClose(channel, { isOursMissing: true });
        await channel.refused(missing, [tag, 'policy-mutual-destination-allowlisted']);
        await channel.goesOn();
        await channel.ask(fairClose(channel));
      }
    },
  },
  {
    id: 'A57',
    variant: 'with HTLCs pending',
    async run(world) {
      const channel = await opened(world);
      const received = channel.htlc('counterparty', 40_000, 'pending');
      await channel.peerOffers(received);
      await channel.refused(fairClose(channel), 'policy-mutual-no-pending-htlcs');
      await channel.weFail(received);
      await channel.ask(fairClose(channel));
    },
  },
  {
    id: 'A58',
    alone: {},
    async run(world) {
      const script = p2wpkhOfKey(secp.publicKey(bytesOf('an address of the team')));
      const channel = new AttackChannel(world);
      await world.restartAfter(() =>
        world.writeToml(
          `${HUB}destinations = ["${toHex(script)}"]\n\n[policy.peer."${toHex(channel.model.ref.peerId)}"]\nshared_allowlist = true\n`,
        ),
      );
      await channel.open();
      await channel.refused(fairClose(channel, { script }), 'policy-onchain-shared-allowlist');
      await channel.ask(fairClose(channel));
      // With any other peer the address is as good as ours.
      const other = await opened(world, { peer: 'no team' });
      await other.ask(fairClose(other, { script }));
    },
  },
];

const sweeps: readonly Scenario[] = [
  {
    id: 'A59',
    async run(world) {
      const channel = await opened(world);
      await channel.ask(channel.model.signCommitment(0, channel.balances));
      const sweep = channel.model.sweepDelayed(0, channel.balances);
      const value = psbtSpentOutput(sweep.tx.psbt, 0)!.value;
      const keeping = (keptSat: bigint) =>
        retx(sweep, (tx) => ({ outputs: [{ ...tx.outputs[0]!, value: sat(keptSat) }] }));
      await channel.refused(keeping(value / 100n), 'policy-sweep-fee-range');
      await channel.refused(keeping(value / 2n - 1n), 'policy-sweep-fee-range');
      await channel.ask(sweep);
    },
  },
  {
    id: 'A60',
    async run(world) {
      const channel = await opened(world);
      const { model } = channel;
      await channel.ask(model.signCommitment(0, channel.balances));
      const sweep = model.sweepDelayed(0, channel.balances);
      const { peerId: peerid, dbid: channelDbid } = model.ref;
      // BIP 68: without the delay in its own sequence the script does not open.
      const early = retx(sweep, (tx) => ({ inputs: [{ ...tx.inputs[0]!, sequence: 0xffff_fffd }] }));
      await channel.refused(early, 'policy-sweep-sequence');
      const two = retx(sweep, (tx) => ({
        inputs: [
          { ...tx.inputs[0]!, txid: bytesOf('another'), sequence: 144 },
          { ...tx.inputs[0]!, sequence: 1 },
        ],
      }));
      const second: Request = {
        ...two,
        name: 'hsmd_sign_any_delayed_payment_to_us',
        input: 1,
        peerid,
        channelDbid,
      };
      await channel.refused(second, ['policy-sweep-sequence', GENERIC]);
      world.refusals = world.refusals.filter(({ tag }) => tag !== GENERIC);
      await channel.ask(sweep);
    },
  },
  {
    id: 'A61',
    variant: 'an anchor spend',
    async run(world) {
      const channel = await opened(world);
      const fee = coin(world, 'fee');
      await channel.refused(await anchorSpend(channel, fee, [toStranger(298_000n)]), UNKNOWN);
      const half = [toStranger(150_000n), toWallet(world.keys, 6, 148_000n)];
      await channel.refused(await anchorSpend(channel, fee, half), UNKNOWN);
      await channel.ask(await anchorSpend(channel, fee));
    },
  },
  {
    id: 'A61',
    variant: 'a mingled HTLC transaction',
    async run(world) {
      const channel = await opened(world);
      await channel.peerOffers(channel.htlc('counterparty', 40_000, 'claimed'));
      const fee = coin(world, 'fee');
      const { ourNumber, balances } = channel;
      await channel.ask(channel.model.signCommitment(ourNumber, balances));
      await channel.refused(mingle(channel, ourNumber, balances, fee, [toStranger(298_000n)]), UNKNOWN);
      await channel.ask(mingle(channel, ourNumber, balances, fee, [toWallet(world.keys, 6, 298_000n)]));
    },
  },
  {
    id: 'A69',
    async run(world) {
      const channel = await opened(world);
      const { model } = channel;
      await channel.peerOffers(channel.htlc('counterparty', 40_000, 'claimed'));
      const [oldNumber, old] = [channel.ourNumber, channel.balances];
      const delayed = p2wshOfScript(
        toLocalScript(model.build('holder', oldNumber, old).keys, model.delayBlocks.holder),
      );
      await channel.goesOn();
      const fee = coin(world, 'fee');
      const { ourNumber, balances } = channel;
      await channel.ask(model.signCommitment(ourNumber, balances));
      // Ours to look at; the peer takes it with the revocation key.
      const toRevoked = { value: sat(298_000n), script: delayed };
      await channel.refused(mingle(channel, ourNumber, balances, fee, [toRevoked]), UNKNOWN);
      await channel.refused(mingle(channel, oldNumber, old, fee, []), UNKNOWN);
      await channel.ask(mingle(channel, ourNumber, balances, fee, [toWallet(world.keys, 6, 298_000n)]));
    },
  },
];

const splices: readonly Scenario[] = [
  {
    id: 'A63',
    variant: 'the new funding gives our share away',
    async run(world) {
      const channel = await opened(world);
      const { model } = channel;
      const splice = model.spliceOf(world.unique('splice'), 100_000n, channel.funding);
      await channel.ask(model.setup(splice));
      const given: Balances = {
        ...channel.balances,
        holderMsat: channel.balances.holderMsat - 200_000_000n,
        counterpartyMsat: channel.balances.counterpartyMsat + 200_000_000n,
      };
      // Nobody tells the signer the terms of a splice: it measures them by the transaction, when that is to be signed.
      await channel.ask(model.validate(0, given, splice));
      await channel.ask(model.signRemote(0, given, splice));
      const tag = 'policy-commitment-initial-funding-value';
      await channel.refused(model.signSplice(splice, channel.funding), tag);
      const fair = model.spliceOf(world.unique('fair splice'), 100_000n, channel.funding);
      await channel.ask(model.setup(fair));
      await channel.ask(model.validate(0, channel.balances, fair));
      await channel.ask(model.signRemote(0, channel.balances, fair));
      await channel.ask(model.signSplice(fair, channel.funding));
      channel.fundings = [channel.funding, fair];
      await channel.goesOn();
    },
  },
  {
    id: 'A63',
    variant: 'without countersigned commitments on it',
    async run(world) {
      const channel = await opened(world);
      const { model, funding } = channel;
      const splice = model.spliceOf(world.unique('splice'), 100_000n, funding);
      // As long as a coin of the wallet must be signed too, the shared input gives nothing away.
      await channel.ask(model.signSplice(splice, funding));
      const wallet = withdrawalOf(splice.tx, [coinOf(splice)], new Map([[1, model.fundingOutput(funding)]]));
      await channel.refused(wallet, UNKNOWN);
      world.refusals.pop();
      await channel.refused(model.signSpliceAlone(splice, funding), COUNTERSIGNED);
      await channel.ask(model.setup(splice));
      await channel.refused(wallet, COUNTERSIGNED);
      await channel.ask(model.validate(0, channel.balances, splice));
      await channel.ask(model.signRemote(0, channel.balances, splice));
      await channel.ask(model.signSplice(splice, funding));
      await channel.ask(wallet);
      channel.fundings = [funding, splice];
      await channel.goesOn();
    },
  },
];

const utf8 = new TextEncoder();

const keys: readonly Scenario[] = [
  {
    id: 'A62',
    variant: 'gossip that is none',
    async run(world) {
      const channel = await opened(world);
      const { tx } = channel.model.build('holder', 0, channel.balances);
      const foreign = [
        new Uint8Array(0),
        new Uint8Array(300),
        concat(Uint8Array.of(1, 0), new Uint8Array(500)),
      ];
      for (const announcement of foreign)
        await world.refused({ name: 'hsmd_node_announcement_sig_req', announcement }, GENERIC);
      for (const cu of [...foreign, concat(Uint8Array.of(1, 2), txid(tx))])
        await world.refused({ name: 'hsmd_cupdate_sig_req', cu }, GENERIC);
      await channel.goesOn();
    },
  },
  {
    id: 'A62',
    variant: 'invoices that are none, or of another network',
    async run(world) {
      for (const hrp of ['', 'lnbc1', 'lntb1', 'Lightning Signed Message:', 'lnbcrt1x', 'lnbcrt-1m'])
        await world.refused(
          { name: 'hsmd_sign_invoice', hrp: utf8.encode(hrp), u5bytes: new Uint8Array(200) },
          GENERIC,
        );
      const words = new Uint8Array(200).fill(32);
      await world.refused({ name: 'hsmd_sign_invoice', hrp: utf8.encode('lnbcrt'), u5bytes: words }, GENERIC);
      const short = new Uint8Array(3);
      await world.refused({ name: 'hsmd_sign_invoice', hrp: utf8.encode('lnbcrt'), u5bytes: short }, GENERIC);
    },
  },
  {
    id: 'A66',
    async run(world) {
      const channel = await opened(world);
      const { model, funding } = channel;
      const script = fundingScript(model.holderFundingKey, funding.peerKey);
      const tx = spend([funding.outpoint], [toStranger(funding.valueSat - FEE_SAT)]);
      const hidden = concat(
        Uint8Array.of(1, 0),
        new Uint8Array(256),
        bip143Preimage(tx, script, funding.valueSat),
      );
      const { peerId: peerid, dbid: channelDbid } = model.ref;
      await channel.refused({ name: 'hsmd_cannouncement_sig_req', ca: hidden }, KEY_USE);
      await channel.refused(
        { name: 'hsmd_sign_any_cannouncement_req', ca: hidden, peerid, channelDbid },
        KEY_USE,
      );
      const good = announcement(world, channel);
      await channel.refused(
        { name: 'hsmd_cannouncement_sig_req', ca: concat(good, new Uint8Array(1)) },
        KEY_USE,
      );
      await channel.ask({ name: 'hsmd_cannouncement_sig_req', ca: good });
      await channel.goesOn();
    },
  },
  {
    id: 'A67',
    variant: 'another network, on a store that serves one',
    alone: {},
    async run(world) {
      for (const network of ['bitcoin', 'signet'] as const)
        await world.refusedInit(network, 'store-bound-elsewhere');
    },
  },
  {
    id: 'A67',
    variant: 'developer fields on mainnet',
    async run(world) {
      const secret = bytesOf('forced');
      for (const forced of [
        { devForcePrivkey: secret },
        { devForceBip32Seed: secret },
        { devForceChannelSecretsShaseed: secret },
      ]) {
        await world.refusedInit('bitcoin', 'policy-init-binding', forced);
      }
    },
    alone: {},
  },
  {
    id: 'A68',
    async run(world) {
      const channel = await opened(world, { format: 'static_remotekey' });
      const ours: ModelHtlc[] = [];
      for (const amountSat of [30_000n, 31_000n, 32_000n]) ours.push(await paying(world, channel, amountSat));
      await channel.weOffer(...ours);
      const burning = { ...channel.balances, feeratePerKw: 250_000 };
      const tag = 'policy-commitment-fee-range';
      await channel.refused(channel.model.signRemote(channel.theirNumber + 1, burning), tag);
      await channel.validate(burning);
      await channel.refused(channel.model.revoke(channel.ourNumber), tag);
      await channel.refused(channel.model.signCommitment(channel.ourNumber + 1, burning), tag);
      await channel.goesOn();
      for (const one of ours) await channel.peerSettles(one);
    },
  },
];

attacks('laws 4 and 5, and the use of keys', LAW_5, [
  ...openings,
  ...spends,
  ...closes,
  ...sweeps,
  ...splices,
  ...keys,
]);
