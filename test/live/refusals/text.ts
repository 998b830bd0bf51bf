/** The words around the table in docs/refusal-table.md. */

export const DOCUMENT_HEAD = `# What a refusal does to a running node

The hsmd protocol has no error reply. A refusal is therefore, as a rule, a reply of a type that lightningd does not expect
(3000: u16 code, text), and what happens next depends on who asked. Where a reply can say no, it does: the preapprovals (38, 39,
51, 52) are declined, the PSBT of an anchor spend (147) comes back unsigned, and a splice (29) that is asked for before its
commitments gets 64 bytes of plain words in the place of a signature. This page is made by \`node --conditions=source test/live/refusals.ts\`:
each row was tried with Core Lightning v26.06.6 on regtest. An hsmd that refuses all requests of just this number stands
before a real one; \`l1\` is its node. \`‹refusal›\` is the refusal in hex, as lightningd prints it: \`0bb8\`, the code, the text.

Where the node lives, "afterwards" is its channel; where it ends, how it starts again: with requests of this number still
refused, or only without.`;

export const DOCUMENT_TAIL = `## What follows for a signer

- **lightningd's own requests are mostly fatal.** Of those it only takes 7, 27 (after the start), 38, 39, 45, 51 and 52 back to
  the command that caused them, and lives with an anchor spend that is not signed (147): it logs that the PSBT is not final
  and tries again with the next block. It ends on every other: a refused invoice (8, 25), offer (41), message (23) or gossip
  signature (3, 4, 6) stops the whole node, and so does any signature about the chain (5, 142, 143, 144, 146, 149). A
  rule on one of these has to be worth a stopped node.
- **Some come again at every start**: 3, 4, 6, 34, 142, 143, 144, 146, 149, an arrived HTLC's 1, and all that a start
  itself needs (9, 11, 27, 28, 56). Refused for good, they keep the node down until the operator approves or the policy changes.
- **The daemons' requests are gentle.** openingd and dualopend drop the open; channeld and closingd end and are started again at
  the next reconnect, where they ask again; onchaind ends and is started again with the node. The node lives, and the log
  shows the reason in hex. A payer may wait: the HTLC stays pending until the request is approved or the channel closes.
- **A splice is asked for twice.** channeld of the side that began it wants the signature on the shared input (29) before it sets
  up the new funding, and ends on a refusal. It does not look at what it gets, and asks again after the commitments. So the first answer
  is words that no key verifies, and only the second a signature; every other refusal of 29 is a reply of type 3000.
- **Whoever accepts a channel does not hear why**: its opener waits until the connection ends.
- **A refused mutual close turns into a unilateral one** when the \`close\` command's time is over.

## Not in the table

2, 12, 13 are never sent by this lightningd; 24 only while it upgrades an old database; 99 has no reply.`;
