/** For operators: refusals at set-up, of channels' lives, and of requests as such. */
import { type Guides, HOSTILE, hostile, INVESTIGATE, limited } from './guide.ts';

export const OPENING_GUIDE: Guides = {
  'policy-init-binding': {
    happened:
      'The node was started for another network than the store was made for, or with developer options outside regtest.',
    means:
      'Almost always the wrong directory or the wrong command line; with an attacker, the way to a channel’s secrets.',
    todo: 'Start the node with the network and the directory it had before. A node on another network needs a seed of its own.',
  },
  'policy-channel-funding-onchain': {
    happened:
      'The funding that the chain shows has another script or another value than the channel was set up with.',
    means:
      'The peer, alone or with your node, pretends a channel that has less money than it says. Nothing in it is worth anything.',
    todo: 'Do not use the channel. Look at the funding transaction, tell the peer, and treat the node as compromised if it accepted it silently.',
    needsChain: true,
  },
  'policy-candidate-exclusive': {
    happened:
      'One more funding of a channel was set up or mined that could confirm beside another one, or there are too many.',
    means:
      'Fundings of one channel must exclude each other, or one of them could be spent with a state that the other revoked.',
    todo: 'Let one of the pending fundings confirm, or cancel the splice or opening and begin again. If two are on the chain, close the channel: the peer has paid for one of them to play with you.',
  },
  'policy-channel-forget': {
    happened:
      'The node asked to forget a channel that may still have money, and forgetting would lose its ratchet.',
    means: 'The channel was marked only; its record stays. This is harmless.',
    todo: 'Nothing. The record goes once everything of the channel is resolved and buried.',
  },
  'policy-channel-frozen': {
    happened:
      'The channel is frozen: by the operator’s kill switch, or because a secret was shown that this store never released.',
    means:
      'If nobody froze it, the store was rolled back: the peer may hold newer states than this signer knows, and anything it signs could be revoked.',
    todo: 'A freeze of your own is lifted with `countersign`. After a rollback leave it frozen: ask the peer to close, then sweep what its commitment gives you. Find out which backup or snapshot was restored.',
  },
  'policy-channel-safe-type': {
    happened: 'A channel of a type was set up whose transactions this signer does not rebuild.',
    means: 'Usually an old or a new peer with other features.',
    todo: 'Keep the features static_remotekey and anchors on in the node; refuse the peer otherwise.',
  },
  'policy-channel-contest-delay-range-holder': limited(
    'The delay that the peer imposes on our own outputs is outside of the range.',
    'Too long a delay locks your money after a force close; some peers ask for much on large channels.',
    ['contestDelayMinBlocks', 'contestDelayMaxBlocks'],
  ),
  'policy-channel-contest-delay-range-counterparty': limited(
    'The delay that we impose on the peer’s outputs is outside of the range.',
    'Too short a delay leaves no time to punish a revoked state. It is set by your node (CLN: `watchtime-blocks`).',
    ['contestDelayMinBlocks', 'contestDelayMaxBlocks'],
    'Set the node’s option so that it is in range. Do not lower the minimum below the time in which you would notice a broken signer.',
  ),
  'policy-channel-original-channel-id-reuse': {
    happened:
      'A channel was set up again under a peer and number, or with a funding, that were in use before.',
    means: `The same pair means the same secrets: a second life could reveal them. A node whose database was restored from an old copy does this; otherwise: ${HOSTILE}`,
    todo: 'Do not restore an old database of the node. Open the channel again: the node then takes the next number.',
  },
  'policy-channel-count-limit': limited(
    'One more channel would exceed the number of live channels.',
    'A busy node, or a peer that opens many.',
    ['channelsMax'],
  ),
  'policy-channel-reuse-keys': hostile(
    'The peer’s funding key or basepoints are those of another channel, or our own.',
  ),
  'policy-funding-max': limited(
    'The channel is larger than a channel may be.',
    'You or a peer opens a very large channel, or the value is a mistake.',
    ['fundingMaxSat'],
  ),
  'policy-velocity-funding': limited(
    'More would go into channels in this window of time than the budget allows.',
    'You opened or enlarged many channels; or somebody with your node moves the wallet into channels.',
    ['fundingVelocity'],
    'Wait until the window has moved on, or raise funding_velocity for it.',
  ),
  'policy-client-permission': {
    happened: 'One of the node’s daemons asked for something that lightningd gave it no permission for.',
    means:
      'That daemon is broken or was taken over by the peer it talks to; its connection is closed. The others go on.',
    todo: INVESTIGATE,
  },
  'policy-generic-error': {
    happened: 'The request is malformed or contradicts what the signer knows; the text says what.',
    means:
      'A node of another version than this signer was made for, or an attacker who tries bytes. Nothing was changed.',
    todo: 'Check that the version of the node is one that docs/cln.md names. If it is, report the refusal with the node’s log.',
  },
  'policy-key-use': hostile(
    'A key was to sign something that it is not for, for example a channel’s funding key a foreign message.',
  ),
};
