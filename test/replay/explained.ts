/**
 * Every refusal that the bundled recordings may meet, with the reason why it is right. A refusal that is not in this
 * list, or one of it that stays away, fails the suite.
 */

export interface ExplainedRefusal {
  readonly tag: string;
  /** Numbers of the refused messages in their recording. */
  readonly messages: readonly number[];
  readonly because: string;
}

const CLOSED =
  'l1 had its commitment 1 signed for broadcast (message 100 is not refused); from then on a channel only closes';
const NO_SETUP = 'no setup_channel was ever sent for this channel, so nothing about it can be judged';
const OWN_POINT =
  'it asks for the claim of an HTLC of the peer with a point and a script of our own commitment: that signature would spend our own';
const FATAL_IN_CLN =
  "Core Lightning's hsmd ends the process or the client; a typed refusal takes the place of that";

const NO_INVOICE = 'it asks to pay "lnbcrt1pretend", which is no invoice';

export const EXPLAINED: Readonly<Record<string, readonly ExplainedRefusal[]>> = {
  'breach/l1': [
    { tag: 'policy-revoke-not-closed', messages: [101, 102, 103, 113, 115], because: CLOSED },
    {
      tag: 'policy-commitment-previous-revoked',
      messages: [104, 108, 110, 116, 117],
      because:
        'commitment 2 of the peer was not signed (103), so it can neither revoke 1 nor get a later one',
    },
    {
      tag: 'policy-htlc-belongs',
      messages: [109],
      because: 'the HTLC transaction spends commitment 3 of the peer, which was not signed (108)',
    },
    {
      tag: 'policy-revoke-new-commitment-valid',
      messages: [112, 114],
      because: 'commitment 2 was not validated (101), so 3 and 4 are not its successors',
    },
  ],
  'dualfund-splice/l1': [
    {
      tag: 'splice-not-signed-yet',
      messages: [180],
      because:
        'channeld asks for the signature on the shared input before the new funding is set up and its commitments exist: ' +
        'with it the peer could keep our balance hostage. It asks again (185, 186) and gets it. (132 asks too early as well, ' +
        'but that splice also needs a signature of our wallet, which comes last)',
    },
    {
      tag: 'policy-commitment-holder-not-revoked',
      messages: [209],
      because:
        'after a splice this lightningd asked to publish commitment 8 (the transaction of message 183) as its number 10, ' +
        'although it had revoked 8 in message 201: the peer could take all of it',
    },
  ],
  'force-close-htlc/l2': [
    {
      tag: 'signed-whole',
      messages: [120, 122, 124, 126, 128, 130, 132, 134, 136, 138, 140, 142, 148],
      because:
        'the claim of an HTLC is signed with ALL: with SINGLE|ANYONECANPAY its output would cover a coin of the wallet in another ' +
        'transaction. lightningd takes the signature as the reply says',
    },
  ],
  'synthetic/legacy-types-l1': [
    { tag: 'policy-key-use', messages: [4, 5], because: OWN_POINT },
    { tag: 'policy-generic-error', messages: [22, 23, 24], because: NO_SETUP },
    { tag: 'policy-client-permission', messages: [41], because: FATAL_IN_CLN },
    { tag: 'preapproval-declined', messages: [8], because: NO_INVOICE },
  ],
  'synthetic/legacy-types-l2': [
    {
      tag: 'policy-key-use',
      messages: [2, 3, 4, 5],
      because:
        '2: the announcement names funding keys that are not those of this channel; ' +
        `3: the delayed output is another node's; 4, 5: ${OWN_POINT}`,
    },
    { tag: 'policy-generic-error', messages: [22, 23, 24], because: NO_SETUP },
    { tag: 'policy-client-permission', messages: [41], because: FATAL_IN_CLN },
    { tag: 'preapproval-declined', messages: [8], because: NO_INVOICE },
  ],
  'synthetic/version4': [
    {
      tag: 'policy-revoke-new-commitment-valid',
      messages: [4, 5],
      because:
        'below version 6 the reply holds the secret of commitment n − 2, and no commitment was validated',
    },
  ],
  'synthetic/version5': [
    {
      tag: 'policy-revoke-new-commitment-valid',
      messages: [4, 5, 6],
      because:
        'below version 6 the reply holds the secret of commitment n − 2, and no commitment was validated',
    },
  ],
  'synthetic/refuse-capability': [{ tag: 'policy-client-permission', messages: [2], because: FATAL_IN_CLN }],
  'synthetic/refuse-malformed-client': [
    { tag: 'policy-generic-error', messages: [2], because: FATAL_IN_CLN },
  ],
  'synthetic/refuse-unknown-type': [{ tag: 'policy-generic-error', messages: [2], because: FATAL_IN_CLN }],
  'synthetic/refuse-malformed-master': [
    { tag: 'policy-generic-error', messages: [1], because: FATAL_IN_CLN },
  ],
  'synthetic/refuse-wrong-pubkey': [{ tag: 'policy-key-use', messages: [1], because: FATAL_IN_CLN }],
  'synthetic/refuse-wrong-bip86': [{ tag: 'policy-key-use', messages: [1], because: FATAL_IN_CLN }],
  'synthetic/refuse-bip86-legacy': [{ tag: 'policy-generic-error', messages: [1], because: FATAL_IN_CLN }],
  'synthetic/four-dbid0': [{ tag: 'policy-generic-error', messages: [3], because: FATAL_IN_CLN }],
};
