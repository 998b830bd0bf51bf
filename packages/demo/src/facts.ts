/** What the demo has to show at one moment: numbers and the last things that happened. Made by the scene, drawn by the screen. */

export interface AttackFacts {
  readonly title: string;
  readonly story: string;
  readonly stakeSat: bigint;
  /** Null: the signer signed. */
  readonly refusedBy: { readonly tag: string; readonly text: string } | null;
  /** What the owner was certain to keep, before and after. */
  readonly wealthBeforeSat: number;
  readonly wealthAfterSat: number;
}

export interface ChannelFacts {
  readonly capacitySat: bigint;
  readonly oursSat: bigint;
  readonly theirsSat: bigint;
}

export interface DemoFacts {
  readonly heightBlocks: number;
  readonly channel: ChannelFacts | null;
  readonly walletSat: bigint;
  readonly paymentsSent: number;
  readonly paymentsReceived: number;
  readonly spentSat: bigint;
  readonly earnedSat: bigint;
  /** Answers of the signer, refusals apart, and what one took on average. */
  readonly signed: number;
  readonly refused: number;
  readonly answerMs: number;
  /** What the owner is certain to get on the chain whatever the node does from here. */
  readonly certainSat: number;
  readonly attacks: readonly AttackFacts[];
  readonly triedSat: bigint;
  readonly stolenSat: bigint;
  /** The newest first. */
  readonly lines: readonly string[];
}
