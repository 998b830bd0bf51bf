/** A real countersign-hsmd in remote mode whose link is cut, or leads to another signer. */
import { join } from 'node:path';
import {
  type LinkAnswer,
  nodeLinkFiles,
  openIdentity,
  PinStore,
  SignerSideLink,
} from '@countersign/transport';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { DERIVE, ECDH, removeDirectories } from './hsmd-under-test.ts';
import { dial, endRemotes, links, PlayedSigner, SHARED, serving, WAIT } from './remote-setting.ts';

afterEach(endRemotes);
afterAll(removeDirectories);

describe('the link', () => {
  it('may be cut while a request is decided: it is decided once, and answered', async () => {
    const { hsmd, signer, cable } = await serving();
    const held = Promise.withResolvers<LinkAnswer>();
    signer.answering = (_, name) => (name === 'hsmd_ecdh_req' ? held.promise : null);
    const client = await hsmd.openClient(3n);
    await client.send(ECDH);
    await expect.poll(() => signer.asked.at(-1)?.name, WAIT).toBe('hsmd_ecdh_req');
    cable.cut();
    held.resolve(SHARED);
    expect(await client.reply()).toMatchObject({ name: 'hsmd_ecdh_resp' });
    expect(signer.asked.filter(({ name }) => name === 'hsmd_ecdh_req')).toHaveLength(1);
    expect(signer.inits()).toBe(1);
    expect(hsmd.logged('broken')).toEqual([]);
  });

  it('may be away for a while: what is asked meanwhile waits', async () => {
    const { hsmd, cable } = await serving();
    const client = await hsmd.openClient(3n);
    cable.isCut = true;
    cable.cut();
    await client.send(ECDH);
    await expect
      .poll(() => hsmd.logged('unusual'), WAIT)
      .toContain('countersign: the link to the signer is lost: requests wait for it');
    cable.isCut = false;
    expect(await client.reply()).toMatchObject({ name: 'hsmd_ecdh_resp' });
    await expect
      .poll(() => hsmd.logged('unusual').at(-1), WAIT)
      .toMatch(/^countersign: the signer is back after \d+\.\d s$/);
    // lightningd has a log by now. A terminal may be a pipe that nobody reads, and to write to it would be to stop there.
    expect(hsmd.output()).not.toMatch(/is lost|is back/);
  });

  it('may be away also when the terminal is no more on which lightningd was started', async () => {
    const { hsmd, cable } = await serving();
    const client = await hsmd.openClient(3n);
    hsmd.closeTerminal();
    cable.isCut = true;
    cable.cut();
    await client.send(ECDH);
    await expect
      .poll(() => hsmd.logged('unusual'), WAIT)
      .toContain('countersign: the link to the signer is lost: requests wait for it');
    cable.isCut = false;
    expect(await client.reply()).toMatchObject({ name: 'hsmd_ecdh_resp' });
    expect(hsmd.isRunning).toBe(true);
  });

  it('may be away for longer than the operator wants: then requests are refused', async () => {
    const { hsmd, cable } = await serving('link_patience_seconds = 1\n');
    const client = await hsmd.openClient(3n);
    cable.isCut = true;
    cable.cut();
    expect(await client.ask(ECDH)).toMatchObject({
      name: 'vls_signer_error',
      code: 6,
      message: 'signer-away: the signer is away for longer than link_patience_seconds allows',
    });
    cable.isCut = false;
    await expect.poll(() => hsmd.logged('unusual').at(-1), WAIT).toContain('the signer is back');
    expect(await client.ask(ECDH)).toMatchObject({ name: 'hsmd_ecdh_resp' });
  });

  it('to a signer that started anew begins with INIT, silently', async () => {
    const remote = await serving();
    const { hsmd, link, cable } = remote;
    const client = await hsmd.openClient(3n);
    link.close();
    await client.send(ECDH);
    const again = new PlayedSigner();
    dial(remote, again, cable.port);
    expect(await client.reply()).toMatchObject({ name: 'hsmd_ecdh_resp' });
    expect(again.asked.map(({ name }) => name)).toEqual(['hsmd_init', 'hsmd_ecdh_req']);
    expect(hsmd.logged('broken')).toEqual([]);
  });

  it('to a signer with other keys is refused loudly; requests wait for the right one', async () => {
    const remote = await serving();
    const { hsmd, link, cable } = remote;
    const client = await hsmd.openClient(3n);
    link.close();
    const other = new PlayedSigner();
    other.fill = 2;
    const wrong = dial(remote, other, cable.port);
    await client.send(ECDH);
    await expect.poll(() => hsmd.logged('broken').at(-1), WAIT).toContain('was sent away: it has other keys');
    expect(other.asked.every(({ name }) => name === 'hsmd_init')).toBe(true);
    wrong.close();
    dial(remote, new PlayedSigner(), cable.port);
    expect(await client.reply()).toMatchObject({ name: 'hsmd_ecdh_resp' });
  });

  it('lets no stranger in, and says so', async () => {
    const remote = await serving();
    const { hsmd, port, signerDirectory, state } = remote;
    const stranger = new PlayedSigner();
    const pins = PinStore.open(join(signerDirectory, 'stranger.json'));
    pins.add('node', openIdentity(nodeLinkFiles(state).identity).pin);
    const identityPath = join(signerDirectory, 'stranger.pem');
    openIdentity(identityPath);
    const link = SignerSideLink.dial({
      dial: { kind: 'tcp', host: '127.0.0.1', port, identityPath, pins, node: 'node' },
      handler: stranger,
      onBug: () => {},
      log: () => {},
    });
    links.push(link);
    await expect.poll(() => hsmd.logged('unusual').join('\n'), WAIT).toContain('its key is not pinned');
    expect(stranger.asked).toEqual([]);
    expect(await hsmd.master.ask(DERIVE)).toMatchObject({ name: 'hsmd_derive_secret_reply' });
  });
});
