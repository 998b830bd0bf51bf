/** What an attacker does, by name, with the attacks of the catalogue (docs/attacks.md) that each is about. */
import type { Channel } from '../channel.ts';
import { hasHtlc, isRich, nextWith } from '../choose.ts';
import type { Move, Play } from '../moves.ts';
import type { Party } from '../state.ts';
import type { World } from '../world.ts';
import * as carried from './carried.ts';
import { wrongClose } from './closes.ts';
import * as corpus from './corpus.ts';
import { lyingList, wrongForm } from './forms.ts';
import * as fundings from './fundings.ts';
import { craftedMessage, falseApproval, signedGossip, signedText } from './messages.ts';
import * as openings from './openings.ts';
import * as proposals from './proposals.ts';
import * as ratchet from './ratchet.ts';
import { replay } from './replays.ts';
import * as rounds from './rounds.ts';
import * as scripts from './scripts.ts';
import * as spends from './spends.ts';
import { stealToRemote, wrongSweep } from './sweeps.ts';
import * as time from './time.ts';

type OnChannel = (world: World, channel: Channel, move: Move) => Promise<void>;
type Anywhere = (world: World, channel: Channel | undefined, move: Move) => Promise<void>;

/** On a channel that has a life: its keys are named and its first commitments signed. */
const on = (weight: number, ids: string, act: OnChannel): Play => ({
  weight,
  attacks: ids.split(' '),
  async play(world, channel, move) {
    if (channel?.ownerKeys != null && channel.phase !== 'closed') await act(world, channel, move);
  },
});

/** On a channel that works, or would if an attacker had not stopped it. */
const onOpen = (weight: number, ids: string, act: OnChannel): Play =>
  on(weight, ids, async (world, channel, move) => {
    if (channel.phase !== 'opening') await act(world, channel, move);
  });

/** On the next channel that has an HTLC offered by this side. */
const onHtlc = (weight: number, ids: string, offeredBy: Party, act: OnChannel): Play =>
  on(weight, ids, async (world, channel, move) => {
    const found = nextWith(world, channel, (one) => hasHtlc(one, offeredBy));
    if (found !== undefined) await act(world, found, move);
  });

/** On the next channel that has HTLCs; without any, on the one that was named. */
const onRich = (weight: number, ids: string, act: OnChannel): Play =>
  onOpen(weight, ids, async (world, channel, move) => {
    await act(world, nextWith(world, channel, isRich) ?? channel, move);
  });

const at = (weight: number, ids: string, play: Anywhere): Play => ({ weight, attacks: ids.split(' '), play });

export const ATTACKS: Readonly<Record<string, Play>> = {
  shift: onOpen(4, 'A20 A24', proposals.shift),
  gift: onOpen(1, 'A24', proposals.gift),
  'settle-unseen': onHtlc(4, 'A21', 'owner', proposals.settleUnseen),
  'fail-received': onHtlc(4, 'A22 A34 A35', 'peer', proposals.failReceived),
  'credit-received': onHtlc(2, 'A45', 'peer', proposals.creditReceived),
  'fail-paid-forward': onOpen(3, 'A22 A35', proposals.failPaidForward),
  alter: onRich(3, 'A27 A38 A39', proposals.alter),
  'flip-side': onHtlc(2, 'A27', 'peer', proposals.flipSide),
  'twin-and-drop': onHtlc(2, 'A23', 'peer', proposals.twinAndDrop),
  'pay-out': onOpen(6, 'A30 A32 A33 A43 A45 A49', proposals.payOut),
  'forward-wrongly': onOpen(6, 'A31 A36 A37 A38 A39', proposals.forwardWrongly),
  'extreme-fee': onRich(2, 'A25 A68', proposals.extremeFee),
  'dust-storm': rare(3, onOpen(3, 'A25 A27b A27c', proposals.dustStorm)),

  variant: onRich(4, 'A06 A07 A07b', ratchet.variant),
  'variant-of-owners': onRich(3, 'A06', ratchet.variantOfOwners),
  'skip-ahead': onRich(2, 'A08', ratchet.skipAhead),
  'sign-peers-again': onOpen(2, 'A08', ratchet.signPeersAgain),
  'sign-old': onOpen(2, 'A01 A16', ratchet.signOld),
  'publish-unjudged': rare(2, onOpen(1, 'A16', ratchet.publishUnjudged)),
  'revoke-early': onOpen(3, 'A04', ratchet.revokeEarly),
  'go-on-after-signing': rare(4, onOpen(1, 'A02 A03', ratchet.goOnAfterSigning)),
  'go-on-after-close': rare(3, onOpen(1, 'A10', ratchet.goOnAfterClose)),
  'wrong-secret': onOpen(3, 'A09', ratchet.wrongSecret),
  'wrong-signature': onRich(3, 'A05', ratchet.wrongSignature),
  'second-level-of-old': onRich(2, 'A15', ratchet.secondLevelOfOld),
  'future-secret': rare(8, onOpen(1, 'A12', ratchet.futureSecret)),
  'roll-back': onOpen(3, 'A12', ratchet.rollBack),

  'one-view': onOpen(2, 'A36', scripts.oneView),
  'late-cover': onOpen(2, 'A38', scripts.lateCover),
  'fail-then-reorganize': at(1, 'A73', scripts.failThenReorganize),
  'variant-then-fail': at(1, 'A07 A34', scripts.variantThenFail),
  'pay-twice': onOpen(1, 'A32 A33 A43', scripts.payTwice),
  'twins-of-ours': onOpen(1, 'A23', scripts.twinsOfOurs),
  'claim-then-fail': rare(2, at(1, 'A35 A48', scripts.claimThenFail)),
  'publish-then-revoke': rare(6, onOpen(1, 'A74', scripts.publishThenRevoke)),
  grind: rare(3, onOpen(1, 'A24 A27b', scripts.grind)),
  'two-points': onOpen(1, 'A07', scripts.twoPoints),

  unchained: rare(4, at(1, 'A09', fundings.unchained)),
  'second-round': rare(3, at(1, 'A18', fundings.secondRound)),
  'two-rounds': rare(4, at(1, 'A18', fundings.twoRounds)),
  splice: rare(3, onOpen(1, 'A17 A63', fundings.splice)),
  'lying-block': rare(4, at(1, 'A71', fundings.lyingBlock)),
  forget: rare(8, on(1, 'A19', openings.forget)),

  'wrong-form': onOpen(4, 'A26 A28', wrongForm),
  'lying-list': onRich(3, 'A27 A28', lyingList),
  'wrong-close': rare(2, onOpen(2, 'A57 A58', wrongClose)),

  'fake-funding': rare(3, at(1, 'A46', openings.fakeFunding)),
  'zero-conf': rare(3, at(1, 'A37 A47 A73', openings.zeroConf)),
  'double-spend': rare(2, on(1, 'A37 A47 A73', openings.doubleSpend)),
  'unfair-first': rare(3, at(1, 'A29', openings.unfairFirst)),
  'wrong-funding': rare(3, at(1, 'A51 A52', openings.wrongFunding)),
  'wrong-delays': rare(3, at(1, 'A50', openings.wrongDelays)),
  'begin-again': rare(2, on(1, 'A11 A19', openings.beginAgain)),

  'spend-abroad': at(1, 'A53 A56', spends.spendAbroad),
  'spend-other': at(1, 'A54', spends.spendOther),
  'burn-fees': at(1, 'A41 A54 A59', spends.burnFees),
  'false-amounts': at(1, 'A55', spends.falseAmounts),
  'loose-sighash': at(1, 'A64', spends.looseSighash),
  'smuggle-funding': on(1, 'A65', spends.smuggleFunding),
  'drain-by-anchor': onOpen(1, 'A61', spends.drainByAnchor),
  'drain-by-mingle': onRich(1, 'A61 A69', spends.drainByMingle),
  'pair-with-own': onOpen(1, 'A69', spends.pairWithOwn),
  'wrong-sweep': onOpen(4, 'A15 A59 A60', wrongSweep),
  'steal-to-remote': onOpen(2, 'A53 A59', stealToRemote),

  'signed-gossip': on(1, 'A62 A66', signedGossip),
  'signed-text': at(1, 'A62', signedText),
  'crafted-message': on(1, 'A62 A67', craftedMessage),
  'false-approval': onOpen(2, 'A40 A42 A49', falseApproval),
  replay: at(8, 'A13 A14', replay),

  sleep: rare(4, onOpen(1, 'A44 A48', time.sleep)),
  'end-badly': rare(2, onOpen(1, 'A48 A74', time.endBadly)),
  'reorg-out': rare(3, at(1, 'A73', time.reorgOut)),
  jump: rare(4, at(1, 'A41 A43', time.jump)),

  'forward-much': seed('A34 A44 A48 A74', corpus.forwardMuch),
  'leave-on-chain': seed('A44 A48', corpus.leaveOnChain),
  outlast: seed('A44', corpus.outlast),
  'forward-more': seed('A31', corpus.forwardMore),
  'revoke-falsely': seed('A09', corpus.revokeFalsely),
  'publish-then-forward': seed('A74', corpus.publishThenForward),
  'publish-then-fail': seed('A74', corpus.publishThenFail),
  'cover-too-late': seed('A38', corpus.coverTooLate),
  'claim-then-reorganize': seed('A73', time.claimThenReorganize),
  'close-then-reorganize': seed('A73', corpus.closeThenReorganize),
  'grind-into-fee': seed('A24', corpus.grindIntoFee),
  'pay-over-two': seed('A33', corpus.payOverTwo),
  'pay-again': seed('A32 A43', corpus.payAgain),
  'trim-by-fee': seed('A25', corpus.trimByFee),
  'raise-fees': seed('A68', corpus.raiseFees),
  'burn-slowly': seed('A41', corpus.burnSlowly),
  'carry-claim': seed('A64 A69', carried.carryClaim),
  'pair-claims': seed('A55 A59', carried.pairClaims),
  'claim-much-then-fail': seed('A35 A48', corpus.claimMuchThenFail),
  'gift-round': seed('A46', rounds.giftRound),
  'splice-of-coin': seed('A63', rounds.spliceOfCoin),
  'splice-of-gift': seed('A18', rounds.spliceOfGift),
};

/** By chance it comes only where it is favoured; else the openings of the corpus bring it (`search/corpus.ts`). */
function seed(ids: string, play: Anywhere): Play {
  return at(0, ids, play);
}

/** One time in so many. */
function rare(times: number, play: Play): Play {
  return {
    ...play,
    async play(world, channel, move) {
      if (move.c % times === 0) await play.play(world, channel, move);
    },
  };
}
