/**
 * Bob, the other side of the channel: a script with keys of his own, who does what BOLT 2 asks of an honest peer. In a real wallet he
 * is another person's node, and what he says comes over the network.
 */
import {
  type Basepoints,
  buildHtlcTransactions,
  type Commitment,
  type CommitmentKeys,
  countersignatoryHtlcHash,
  countersignatoryHtlcSighash,
  derivePrivateKey,
  fundingScript,
  fundingSighash,
  perCommitmentSecret,
  type Secp256k1,
  sat,
  sha256,
  txid,
} from '@countersign/bitcoin';

const utf8 = new TextEncoder();

export class Bob {
  readonly nodeId: Uint8Array;
  readonly fundingKey: Uint8Array;
  readonly basepoints: Basepoints;
  readonly #secp: Secp256k1;
  readonly #secret: (name: string) => Uint8Array;

  /** The same label, the same Bob. */
  constructor(secp: Secp256k1, label: string) {
    this.#secp = secp;
    this.#secret = (name) => sha256(utf8.encode(`${label}: ${name}`));
    const point = (name: string): Uint8Array => secp.publicKey(this.#secret(name));
    this.nodeId = point('node');
    this.fundingKey = point('funding');
    this.basepoints = {
      revocation: point('revocation'),
      payment: point('payment'),
      delayedPayment: point('delayed payment'),
      htlc: point('htlc'),
    };
  }

  /** The secret with which a commitment of his is revoked, once there is a newer one. */
  secret(number: number): Uint8Array {
    return perCommitmentSecret(this.#secret('commitments'), number);
  }

  point(number: number): Uint8Array {
    return this.#secp.publicKey(this.secret(number));
  }

  /** What he sends for a payment once he has taken it. */
  preimage(payment: number): Uint8Array {
    return this.#secret(`payment ${payment}`);
  }

  /** His signatures on a commitment of ours: on the transaction itself, and one for each HTLC in it. */
  sign(commitment: Commitment, place: SigningPlace) {
    const { ourFundingKey, valueSat, keys, ourPoint, delayBlocks, feeratePerKw } = place;
    const script = fundingScript(ourFundingKey, this.fundingKey);
    const sighash = fundingSighash(commitment.transaction, script, sat(valueSat));
    const format = 'anchors_zero_fee_htlc';
    const htlcKey = derivePrivateKey(this.#secp, this.#secret('htlc'), ourPoint);
    const params = { format, keys, feeratePerKw, toSelfDelayBlocks: delayBlocks } as const;
    const spends = { ...params, commitmentTxid: txid(commitment.transaction) };
    return {
      sig: { signature: this.#secp.signEcdsa(sighash, this.#secret('funding')), sighash: 1 },
      htlcSigs: buildHtlcTransactions(spends, commitment.htlcs).map((one) => ({
        signature: this.#secp.signEcdsa(countersignatoryHtlcHash(one, format), htlcKey),
        sighash: countersignatoryHtlcSighash(format),
      })),
    };
  }
}

/** What the signatures of a commitment depend on beside the transaction. */
export interface SigningPlace {
  readonly ourFundingKey: Uint8Array;
  readonly valueSat: bigint;
  readonly keys: CommitmentKeys;
  readonly ourPoint: Uint8Array;
  readonly delayBlocks: number;
  readonly feeratePerKw: number;
}
