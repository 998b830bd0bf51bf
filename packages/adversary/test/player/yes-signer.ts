/**
 * A signer that signs whatever it is asked, with real keys, and keeps no promise: what every attack hopes for. It costs next
 * to nothing, so what a run with it takes is the player's own time.
 */
import {
  type ChannelSecrets,
  type Client,
  channelPoints,
  derivePrivateKey,
  fundingScript,
  makeChannelSecrets,
  type Outcome,
  p2pkhScript,
  perCommitmentPoint,
  perCommitmentSecret,
  publicKeyOf,
  SIGHASH,
  type Subject,
  sha256,
  sighashV0,
  sign,
  type Tx,
  toHex,
  toScriptSignature,
  type WirePsbt,
} from '@countersign/adversary';
import type { MessageOf, Reply, Request } from '@countersign/wire';
import { HDKey } from '@scure/bip32';

const text = (value: string): Uint8Array => new TextEncoder().encode(value);
const WITNESS_UTXO = 0x01;
const PARTIAL_SIG = 0x02;

/** The value in a PSBT input's witness_utxo, and the script. */
function spentOf(psbt: WirePsbt, index: number): { value: bigint; script: Uint8Array } | undefined {
  const found = psbt.inputs[index]?.find(({ type }) => type === WITNESS_UTXO)?.value;
  if (found === undefined) return undefined;
  const value = new DataView(found.buffer, found.byteOffset).getBigUint64(0, true);
  return { value, script: found.subarray(9) };
}

export class YesSigner implements Subject {
  readonly #master = HDKey.fromMasterSeed(sha256(text('yes'))).derive('m/0/0');
  readonly #nodeKey = sha256(text('yes node'));
  readonly #secrets = new Map<string, ChannelSecrets>();

  async ask(client: Client, request: Request): Promise<Outcome> {
    const reply = this.#answer(client, request);
    if (reply !== null) return { kind: 'reply', reply };
    return { kind: 'refused', tag: 'not-here', isTemporary: false, message: request.name };
  }

  #of(peerId: Uint8Array, dbid: bigint): ChannelSecrets {
    const key = `${toHex(peerId)}/${dbid}`;
    const known = this.#secrets.get(key) ?? makeChannelSecrets(sha256(text(`yes ${key}`)));
    this.#secrets.set(key, known);
    return known;
  }

  #answer(client: Client, request: Request): Reply | null {
    const own = client.channel === null ? null : this.#of(client.channel.peerId, client.channel.dbid);
    switch (request.name) {
      case 'hsmd_init':
        return this.#init();
      case 'hsmd_get_channel_basepoints': {
        const { funding, ...basepoints } = channelPoints(this.#of(request.peerid, request.dbid));
        return { name: 'hsmd_get_channel_basepoints_reply', basepoints, fundingPubkey: funding };
      }
      case 'hsmd_new_channel':
        return { name: 'hsmd_new_channel_reply' };
      case 'hsmd_setup_channel':
        return { name: 'hsmd_setup_channel_reply' };
      case 'hsmd_validate_revocation':
        return { name: 'hsmd_validate_revocation_reply' };
      case 'countersign_preimages':
        return { name: 'countersign_preimages_reply', learned: 0 };
      case 'hsmd_sign_withdrawal':
        return { name: 'hsmd_sign_withdrawal_reply', psbt: this.#withdrawn(request) };
      case 'hsmd_preapprove_invoice_check':
        return { name: 'hsmd_preapprove_invoice_reply', approved: true };
      case 'hsmd_preapprove_keysend_check':
        return { name: 'hsmd_preapprove_keysend_reply', approved: true };
      case 'hsmd_sign_commitment_tx': {
        const secrets = this.#of(request.peerId, request.channelDbid);
        const sig = fundingSignature(secrets, request.tx, request.remoteFundingKey);
        return { name: 'hsmd_sign_commitment_tx_reply', sig };
      }
      default:
        return own === null ? null : ofChannel(own, request);
    }
  }

  #init(): Reply {
    const { chainCode, publicKey } = this.#master;
    const bip32 = new Uint8Array(78);
    bip32.set(chainCode!, 13);
    bip32.set(publicKey!, 45);
    return {
      name: 'hsmd_init_reply_v4',
      hsmVersion: 6,
      hsmCapabilities: [],
      nodeId: publicKeyOf(this.#nodeKey),
      bip32,
      bolt12: publicKeyOf(this.#nodeKey),
      tlvs: {},
    };
  }

  #withdrawn({ inputs, psbt }: MessageOf<'hsmd_sign_withdrawal'>): WirePsbt {
    const tx: Tx = psbt.unsignedTx;
    const signed = psbt.inputs.map((entries, i) => {
      const at = tx.inputs[i]!;
      const coin = inputs.find(
        ({ outpoint }) => toHex(outpoint.txid) === toHex(at.txid) && outpoint.vout === at.vout,
      );
      if (coin === undefined || coin.closeInfo !== undefined) return entries;
      const { privateKey, publicKey } = this.#master.deriveChild(coin.keyindex);
      const code = p2pkhScript(coin.scriptPubkey.subarray(2));
      const signature = sign(sighashV0(tx, i, code, coin.amount, SIGHASH.ALL), privateKey!);
      const value = toScriptSignature(signature, SIGHASH.ALL);
      return [...entries, { type: PARTIAL_SIG, keyData: publicKey!, value }];
    });
    return { ...psbt, inputs: signed };
  }

  async feedChain(): Promise<null> {
    return null;
  }

  async rescues(): Promise<readonly []> {
    return [];
  }

  async owner(): Promise<string | null> {
    return null;
  }

  async restart(): Promise<void> {}

  setClock(): void {}

  async close(): Promise<void> {}
}

type BitcoinTx = MessageOf<'hsmd_sign_mutual_close_tx'>['tx'];

function fundingSignature(secrets: ChannelSecrets, { tx, psbt }: BitcoinTx, peerKey: Uint8Array) {
  const script = fundingScript(publicKeyOf(secrets.funding), peerKey);
  const digest = sighashV0(tx, 0, script, spentOf(psbt, 0)?.value ?? 0n, SIGHASH.ALL);
  return { signature: sign(digest, secrets.funding), sighash: SIGHASH.ALL };
}

function ofChannel(secrets: ChannelSecrets, request: Request): Reply | null {
  const point = (n: bigint): Uint8Array => perCommitmentPoint(secrets.seed, Number(n));
  switch (request.name) {
    case 'hsmd_get_per_commitment_point':
      return {
        name: 'hsmd_get_per_commitment_point_reply',
        perCommitmentPoint: point(request.n),
        oldCommitmentSecret: undefined,
      };
    case 'hsmd_validate_commitment_tx': {
      const nextPerCommitmentPoint = point(request.commitNum + 1n);
      const name = 'hsmd_validate_commitment_tx_reply';
      return { name, oldCommitmentSecret: undefined, nextPerCommitmentPoint };
    }
    case 'hsmd_revoke_commitment_tx': {
      const oldCommitmentSecret = perCommitmentSecret(secrets.seed, Number(request.commitNum));
      const nextPerCommitmentPoint = point(request.commitNum + 2n);
      return { name: 'hsmd_revoke_commitment_tx_reply', oldCommitmentSecret, nextPerCommitmentPoint };
    }
    case 'hsmd_sign_remote_commitment_tx':
    case 'hsmd_sign_mutual_close_tx':
      return {
        name: 'hsmd_sign_tx_reply',
        sig: fundingSignature(secrets, request.tx, request.remoteFundingKey),
      };
    case 'hsmd_sign_remote_htlc_tx': {
      const { tx, psbt } = request.tx;
      const type = request.optionAnchorOutputs ? SIGHASH.SINGLE_ANYONECANPAY : SIGHASH.ALL;
      const digest = sighashV0(tx, 0, request.wscript, spentOf(psbt, 0)?.value ?? 0n, type);
      const key = derivePrivateKey(secrets.htlc, request.remotePerCommitPoint);
      return { name: 'hsmd_sign_tx_reply', sig: { signature: sign(digest, key), sighash: type } };
    }
    default:
      return null;
  }
}
