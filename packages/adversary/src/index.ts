/** A fully compromised node, played against a signer, and the referee who says what the owner is certain to keep. */
export * from './bitcoin/transaction.ts';
export * from './subject.ts';
