/**
 * How an LDK application introduces itself to each process of its signer, before anything is asked of it: VLS's INIT for LDK (1011).
 * The first says who the signer is; one that says otherwise later is sent away, and requests wait for the right one.
 */
import { equalBytes } from '@countersign/bitcoin';
import { decodeMessage, encodeMessage } from '@countersign/wire';
import type { GreetingAsk } from '../link/node-side.ts';
import type { PresenceLogLevel } from '../link/presence.ts';
import type { LinkClient } from '../link/protocol.ts';
import { refusalBody } from './asker.ts';
import type { BridgeKeyStyle, RemoteIdentity } from './messages.ts';

/** The node itself: every permission of hsmd/permissions.h, as lightningd's own connection has them. */
const ALL_PERMISSIONS = 0xffff_ffff_ffff_ffffn;
const NODE: LinkClient = { peerId: null, dbid: 0n, permissions: ALL_PERMISSIONS };

/** VLS `KeyDerivationStyle`. */
const STYLES: Readonly<Record<BridgeKeyStyle, number>> = { cln: 1, ldk: 2 };

export interface IntroductionOptions {
  readonly network: string;
  readonly keyStyle: BridgeKeyStyle;
  readonly log: (level: PresenceLogLevel, text: string) => void;
  /** The first signer will not serve this node. */
  readonly onFailed: (why: string) => void;
}

type Told =
  | { readonly ok: true; readonly identity: RemoteIdentity }
  | { readonly ok: false; readonly why: string };

export class Introduction {
  readonly #options: IntroductionOptions;
  #identity: RemoteIdentity | null = null;
  /** Said already: a signer that is sent away dials again and again. */
  #complaint = '';

  constructor(options: IntroductionOptions) {
    this.#options = options;
  }

  /** Null before the first signer. */
  get identity(): RemoteIdentity | null {
    return this.#identity;
  }

  /** Rejects for a signer that must not be asked. */
  readonly greet = async (ask: GreetingAsk, signer: string): Promise<void> => {
    const { log, onFailed } = this.#options;
    const told = await this.#tell(ask);
    if (this.#identity === null) {
      if (told.ok) {
        this.#identity = told.identity;
        return;
      }
      onFailed(told.why);
      // It has served nothing, so the place is not its own.
      throw new Error(told.why);
    }
    if (told.ok && isSame(told.identity, this.#identity)) {
      this.#complaint = '';
      log('info', `countersign: the signer ${signer} has started anew`);
      return;
    }
    const why = told.ok ? 'it has other keys than the one this node started with' : told.why;
    const complaint = `countersign: the signer ${signer} was sent away: ${why}. Requests wait for the right one`;
    if (complaint !== this.#complaint) log('broken', complaint);
    this.#complaint = complaint;
    throw new Error(why);
  };

  async #tell(ask: GreetingAsk): Promise<Told> {
    const { network, keyStyle } = this.#options;
    const init = encodeMessage({
      name: 'vls_hsmd_init2',
      derivationStyle: STYLES[keyStyle],
      networkName: network,
      devSeed: undefined,
      devAllowlist: [],
    });
    const answer = await ask(NODE, init);
    const decoded = decodeMessage(
      answer.kind === 'refused' ? refusalBody(answer.refusal) : answer.body,
      'reply',
    );
    if (!decoded.ok) return { ok: false, why: 'what it answered to INIT cannot be read' };
    const { message } = decoded;
    if (message.name === 'vls_signer_error') return { ok: false, why: message.message };
    if (message.name !== 'vls_hsmd_init2_reply')
      return { ok: false, why: `it answered INIT with ${message.name}` };
    const { nodeId, bip32, bolt12 } = message;
    return { ok: true, identity: { nodeId, bip32, bolt12 } };
  }
}

function isSame(one: RemoteIdentity, other: RemoteIdentity): boolean {
  return (
    equalBytes(one.nodeId, other.nodeId) &&
    equalBytes(one.bip32, other.bip32) &&
    equalBytes(one.bolt12, other.bolt12)
  );
}
