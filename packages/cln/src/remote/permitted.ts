/**
 * Who may ask what, where the signer does not hear it: VLS's protocol carries no permissions, and its signer takes whoever has no
 * channel for lightningd itself. So they are judged before anything leaves, as a signer in place does.
 */
import { type ClientIdentity, malformedRefusal, permissionRefusal, type Refusal } from '@countersign/core';
import { toLinkRefusal } from '@countersign/host';
import type { LinkClient, SignerLink } from '@countersign/transport';
import { decodeMessage } from '@countersign/wire';

/** The link, without what its clients may not ask. What cannot be read is refused too: it would end VLS's connections. */
export function permitted(link: SignerLink, messageBytesMax: number): SignerLink {
  return {
    get state() {
      return link.state;
    },
    ask: async (client, body) => {
      const refusal = refusalOf(client, body, messageBytesMax);
      return refusal === null
        ? link.ask(client, body)
        : { kind: 'refused', refusal: toLinkRefusal(refusal, null) };
    },
    openFeed: () => link.openFeed(),
    onState: (listener) => link.onState(listener),
    close: () => link.close(),
  };
}

/** Null for what may be asked. */
function refusalOf(client: LinkClient, body: Uint8Array, messageBytesMax: number): Refusal | null {
  const decoded = decodeMessage(body, 'request', { messageBytesMax });
  if (!decoded.ok) return malformedRefusal('unknown', null, decoded.error.message, decoded.error.facts);
  const { message } = decoded;
  if (message.name === 'unknown')
    return malformedRefusal('unknown', null, 'unknown request', { message_type: message.type });
  return permissionRefusal(identityOf(client), message);
}

function identityOf({ peerId, dbid, permissions }: LinkClient): ClientIdentity {
  return { channel: peerId === null ? null : { peerId, dbid }, permissions };
}
