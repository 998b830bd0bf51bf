/**
 * Requests about a commitment whose outputs are not quite those of BOLT 3: for either side's commitment, with the
 * witness scripts in the PSBT, as CLN sends them, and without.
 */
import {
  type CommitmentOutput,
  compareOutputs,
  p2wshOfScript,
  type Sat,
  sat,
  type TxOutput,
} from '@countersign/bitcoin';
import type { Request } from '@countersign/wire';
import type { Balances, BuildChanges, Built, ModelOptions, Party } from './channel-model.ts';
import { htlc, wireTx } from './channel-model.ts';
import { adding, OpenChannel } from './open-channel.ts';
import { bytesOf, secp } from './test-signer.ts';

export const stranger = secp.publicKey(bytesOf('a stranger'));
export const VIEWS = ['counterparty', 'holder'] as const;
/** What the PSBT has of its outputs. */
export const PSBTS = ['witness scripts', 'nothing'] as const;
export type InPsbt = (typeof PSBTS)[number];

export interface OutputPart extends TxOutput {
  readonly witnessScript: Uint8Array | null;
}

export const p2wsh = (value: bigint, witnessScript: Uint8Array): OutputPart => ({
  value: sat(value),
  script: p2wshOfScript(witnessScript),
  witnessScript,
});
export const plain = (value: bigint, script: Uint8Array): OutputPart => ({
  value: sat(value),
  script,
  witnessScript: null,
});
export const worth = <T extends TxOutput>(output: T, value: bigint): T => ({
  ...output,
  value: sat(value) as Sat,
});

/** A channel about to make commitment 1, with HTLCs both ways in it or without any. */
export class FormCase {
  readonly channel: OpenChannel;
  readonly balances: Balances;

  constructor(
    options: ModelOptions | { readonly channel: OpenChannel; readonly balances: Balances } = {},
    htlcs: 'with HTLCs' | 'without' = 'with HTLCs',
  ) {
    if ('channel' in options) {
      this.channel = options.channel;
      this.balances = options.balances;
      return;
    }
    this.channel = new OpenChannel(options).open();
    this.balances =
      htlcs === 'without'
        ? this.channel.balances
        : adding(
            this.channel.balances,
            htlc('holder', 20_000, 'offered', 700_010),
            htlc('counterparty', 30_000, 'received', 700_020),
            htlc('counterparty', 30_000, 'received too', 700_021),
          );
  }

  /** The same channel with another commitment 1. */
  adding(balances: Balances): FormCase {
    return new FormCase({ channel: this.channel, balances });
  }

  get model() {
    return this.channel.model;
  }

  build(view: Party, changes: BuildChanges = {}): Built {
    return this.model.build(view, 1, this.balances, this.model.funding, changes);
  }

  honest(view: Party): Extract<Request, { htlcs: unknown; tx: unknown }> {
    return view === 'holder'
      ? this.model.validate(1, this.balances)
      : this.model.signRemote(1, this.balances);
  }

  /** The outputs of the honest commitment, by what they are. */
  outputs(view: Party): readonly CommitmentOutput[] {
    return this.build(view).commitment.outputs;
  }

  /** The request with exactly these outputs. */
  with(view: Party, outputs: readonly OutputPart[], psbt: InPsbt = 'witness scripts'): Request {
    const tx = { ...this.build(view).tx, outputs: outputs.map(({ value, script }) => ({ value, script })) };
    const scripts = psbt === 'nothing' ? [] : outputs.map(({ witnessScript }) => witnessScript);
    return { ...this.honest(view), tx: wireTx(tx, [this.model.fundingOutput()], scripts) };
  }

  /** The request with the honest outputs changed one by one (null: left out), in the order of BOLT 3. */
  changing(
    view: Party,
    change: (output: CommitmentOutput, index: number) => OutputPart | readonly OutputPart[] | null,
    psbt: InPsbt = 'witness scripts',
  ): Request {
    const outputs = this.outputs(view).flatMap((output, i) => change(output, i) ?? []);
    return this.with(view, outputs.sort(compareOutputs), psbt);
  }

  /** The request about the commitment that these changes build. */
  building(view: Party, changes: BuildChanges, psbt: InPsbt = 'witness scripts'): Request {
    return this.with(view, this.build(view, changes).commitment.outputs, psbt);
  }

  tagOf(request: Request): string {
    return this.channel.tagOf(request);
  }
}

/** Which commitment, and what its PSBT has. */
export const FORMS: readonly (readonly [Party, InPsbt])[] = VIEWS.flatMap((view) =>
  PSBTS.map((psbt) => [view, psbt] as const),
);
