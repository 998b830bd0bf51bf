/** The other end of `link.ts`: a signer that answers with what it was asked, and a bare TLS echo. */

import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { createServer } from 'node:tls';
import { type LinkAnswer, openIdentity, PinStore, SignerSideLink } from '@countersign/transport';

const [directory = '', nodePort = ''] = process.argv.slice(2);
const identityPath = join(directory, 'signer.pem');
const answer = async (body: Uint8Array): Promise<LinkAnswer> => ({ kind: 'reply', body });
const handler = {
  ask: (_client: unknown, body: Uint8Array) => answer(body),
  feed: (_session: number, body: Uint8Array) => answer(body),
  feedEnded: () => {},
};
const onBug = (error: unknown): never => {
  throw error;
};
const pins = PinStore.open(join(directory, 'signer-pins.json'));
SignerSideLink.dial({
  dial: { kind: 'tcp', host: '127.0.0.1', port: Number(nodePort), identityPath, pins, node: 'node' },
  handler,
  onBug,
  log: () => {},
});
SignerSideLink.dial({
  dial: { kind: 'unix', path: join(directory, 's', 'l') },
  handler,
  onBug,
  log: () => {},
});

const { privateKeyPem, certificatePem } = openIdentity(identityPath);
const server = createServer(
  {
    key: privateKeyPem,
    cert: certificatePem,
    requestCert: true,
    rejectUnauthorized: false,
    minVersion: 'TLSv1.3',
  },
  (socket) => {
    socket.setNoDelay(true);
    socket.on('error', () => {});
    socket.on('data', (chunk) => socket.write(chunk));
  },
);
server.listen(0, '127.0.0.1', () => process.send?.((server.address() as AddressInfo).port));
