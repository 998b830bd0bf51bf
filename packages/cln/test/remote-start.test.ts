/** A real countersign-hsmd in remote mode that starts: it waits for its signer, and says for whom. */
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import {
  beginPairing,
  nodeLinkFiles,
  openPairingBook,
  PinStore,
  pair,
  SignerSideLink,
} from '@countersign/transport';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { initRequest } from '../../core/test/init-request.ts';
import { LINK_SOCKET, readStanding } from '../src/remote/standing.ts';
import { refusedBy } from './fake-link.ts';
import { DERIVE, ECDH, EXIT_WAIT_MS, removeDirectories, start } from './hsmd-under-test.ts';
import {
  dial,
  dialWith,
  endRemotes,
  links,
  PlayedSigner,
  paired,
  serving,
  setting,
  WAIT,
} from './remote-setting.ts';

afterEach(endRemotes);
afterAll(removeDirectories);

describe('the start', () => {
  it('waits for the signer, and tells the terminal for whom and what to do', async () => {
    const place = await setting();
    const hsmd = start({ directory: place.directory });
    await hsmd.master.send(initRequest('regtest'));
    await expect.poll(() => hsmd.output(), WAIT).toContain('"countersign pair"');
    expect(hsmd.output()).toContain(`countersign: waiting for the signer at 127.0.0.1:${place.port}\n`);
    expect(hsmd.output()).toContain('no signer is paired with this node yet');
    await expect
      .poll(() => hsmd.logged('unusual')[0], WAIT)
      .toBe(`countersign: waiting for the signer at 127.0.0.1:${place.port}`);
    dial(place, new PlayedSigner());
    expect(await hsmd.master.reply()).toMatchObject({ name: 'hsmd_init_reply_v4' });
    expect(await hsmd.master.ask(DERIVE)).toMatchObject({ name: 'hsmd_derive_secret_reply' });
  });

  it('goes on when the terminal is closed on which lightningd was started', async () => {
    const place = await setting();
    const hsmd = start({ directory: place.directory });
    await hsmd.master.send(initRequest('regtest'));
    await expect.poll(() => hsmd.output(), WAIT).toContain('waiting for the signer');
    hsmd.closeTerminal();
    // Something that is told there.
    const stranger = connect(place.port, '127.0.0.1', () => stranger.destroy());
    await expect.poll(() => hsmd.logged('unusual').join('\n'), WAIT).toContain('was refused');
    dial(place, new PlayedSigner());
    expect(await hsmd.master.reply()).toMatchObject({ name: 'hsmd_init_reply_v4' });
    expect(hsmd.isRunning).toBe(true);
  });

  it('lets a signer in that brings a token meanwhile', async () => {
    const place = await setting();
    const hsmd = start({ directory: place.directory });
    await hsmd.master.send(initRequest('regtest'));
    await expect.poll(() => hsmd.output(), WAIT).toContain('no signer is paired with this node yet');
    const files = nodeLinkFiles(place.state);
    const { token } = beginPairing({
      book: openPairingBook(files.pairings),
      pins: PinStore.open(files.pins),
      identityPath: files.identity,
      name: 'cellar',
      addresses: [{ host: '127.0.0.1', port: place.port }],
    });
    const identityPath = join(place.signerDirectory, 'cellar.pem');
    const pins = PinStore.open(join(place.signerDirectory, 'cellar.json'));
    await pair({ token, identityPath, pins, name: 'node' });
    dialWith({ identityPath, pins }, new PlayedSigner(), place.port);
    expect(await hsmd.master.reply()).toMatchObject({ name: 'hsmd_init_reply_v4' });
    await expect.poll(() => hsmd.logged('info').join('\n'), WAIT).toContain('countersign: link: ');
  });

  it('asks the next signer where the first does not answer INIT, and says so', async () => {
    const place = await setting('greeting_seconds = 5');
    const hsmd = start({ directory: place.directory });
    await hsmd.master.send(initRequest('regtest'));
    const mute = new PlayedSigner();
    mute.answering = () => new Promise(() => {});
    dial(place, mute, place.port, 'attic');
    await expect.poll(() => mute.inits(), WAIT).toBe(1);
    const signer = new PlayedSigner();
    dial(place, signer, place.port, 'cellar');
    expect(await hsmd.master.reply()).toMatchObject({ name: 'hsmd_init_reply_v4' });
    const line = 'countersign: link: attic did not answer INIT within 5 s: cellar is asked instead';
    await expect.poll(() => hsmd.output(), WAIT).toContain(line);
    await expect.poll(() => hsmd.logged('unusual'), WAIT).toContain(line);
    expect(signer.inits()).toBe(1);
    const { state, pending, signers } = (await readStanding(join(place.state, LINK_SOCKET)))!;
    expect([state, pending]).toEqual(['up', 0]);
    expect(signers.map(({ name, role }) => [name, role])).toContainEqual(['cellar', 'active']);
    expect(statSync(join(place.state, LINK_SOCKET)).mode & 0o777).toBe(0o600);
  });

  it('says nothing of its link where it does not run', async () => {
    const { state } = await setting();
    expect(await readStanding(join(state, LINK_SOCKET))).toBeNull();
    expect(await readStanding(`/${'x'.repeat(200)}`)).toBeNull();
  });

  it('names the signers that it knows', async () => {
    const place = await setting();
    paired(place, 'cellar');
    const hsmd = start({ directory: place.directory });
    await hsmd.master.send(initRequest('regtest'));
    await expect.poll(() => hsmd.output(), WAIT).toContain('paired with cellar');
  });

  it('makes no secret and no store, loads no curve, and keeps its link private', async () => {
    const { directory, state, hsmd } = await serving();
    expect(existsSync(join(directory, 'hsm_secret'))).toBe(false);
    expect(readdirSync(state).sort()).toEqual(['link', 'link.sock', 'node.sock', 'preimages.held']);
    const loaded = existsSync('/proc') ? readFileSync(`/proc/${hsmd.pid}/maps`, 'utf8') : '';
    expect(loaded).not.toContain('secp256k1');
  });

  it('gives up when the operator’s patience ends', async () => {
    const place = await setting('start_patience_seconds = 1\n');
    const hsmd = start({ directory: place.directory });
    expect(await hsmd.init()).toMatchObject({
      name: 'hsmd_init_reply_failure',
      errorCode: 20,
      errorMessage: 'countersign: no signer came within 1 s (start_patience_seconds in [remote])',
    });
    expect((await hsmd.ended).code).toBe(242);
  });

  it('fails where it cannot listen', async () => {
    const place = await setting('', '192.0.2.1:9737');
    const hsmd = start({ directory: place.directory });
    const reply = await hsmd.init();
    expect(reply).toMatchObject({ name: 'hsmd_init_reply_failure', errorCode: 20 });
    expect(JSON.stringify(reply)).toContain('cannot listen at 192.0.2.1:9737');
  });

  it('fails in a state directory that another node side has, and leaves that one alone', async () => {
    const first = await serving();
    const place = await setting();
    const file = join(place.directory, 'countersign.toml');
    writeFileSync(file, `state_directory = "${first.state}"\n${readFileSync(file, 'utf8')}`);
    const hsmd = start({ directory: place.directory });
    expect(await hsmd.init()).toMatchObject({
      name: 'hsmd_init_reply_failure',
      errorCode: 20,
      errorMessage: `countersign: another process is the node side of a signer in ${first.state}: no two nodes may share it`,
    });
    expect((await hsmd.ended).code).toBe(242);
    expect(await readStanding(join(first.state, LINK_SOCKET))).toMatchObject({ state: 'up' });
  });

  it('fails with the signer’s reason', async () => {
    const place = await setting();
    const signer = new PlayedSigner();
    signer.answering = (_, name) =>
      name === 'hsmd_init' ? refusedBy({ tag: 'policy-init-binding', text: 'the node is on regtest' }) : null;
    dial(place, signer);
    const hsmd = start({ directory: place.directory });
    expect(await hsmd.init()).toMatchObject({
      errorMessage:
        'countersign: the signer does not serve this node: policy-init-binding: the node is on regtest',
    });
    expect((await hsmd.ended).code).toBe(242);
    // Or the right one would stand by at the next start.
    expect(PinStore.open(nodeLinkFiles(place.state).pins).active).toBeNull();
  });

  it('ends when lightningd hangs up meanwhile', async () => {
    const place = await setting();
    const hsmd = start({ directory: place.directory });
    await hsmd.master.send(initRequest('regtest'));
    await expect.poll(() => hsmd.output(), WAIT).toContain('waiting for the signer');
    expect((await hsmd.hangUp()).code).toBe(2);
  });

  it('ends when lightningd hangs up while its signer is away', async () => {
    const { hsmd, cable } = await serving();
    const client = await hsmd.openClient(3n);
    cable.isCut = true;
    cable.cut();
    await client.send(ECDH);
    await hsmd.master.send(DERIVE);
    await expect
      .poll(() => hsmd.logged('unusual').join('\n'), WAIT)
      .toContain('the link to the signer is lost');
    const { code, afterMs } = await hsmd.hangUp();
    expect(code).toBe(2);
    expect(afterMs).toBeLessThan(EXIT_WAIT_MS);
  });

  it('is the same over a Unix socket', async () => {
    const place = await setting('', 'unix:countersign/link/signer.sock');
    const hsmd = start({ directory: place.directory });
    await hsmd.master.send(initRequest('regtest'));
    await expect.poll(() => hsmd.output(), WAIT).toContain('waiting for the signer at');
    const path = join(place.state, 'link', 'signer.sock');
    const link = SignerSideLink.dial({
      dial: { kind: 'unix', path },
      handler: new PlayedSigner(),
      onBug: () => {},
      log: () => {},
    });
    links.push(link);
    expect(await hsmd.master.reply()).toMatchObject({ name: 'hsmd_init_reply_v4' });
  });
});
