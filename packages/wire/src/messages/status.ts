/**
 * Messages a subdaemon sends up CLN's status socket. Source: CLN `common/status_wire.csv`, and
 * hsmstatus_client_bad_request of `hsmd/hsmd_wire.csv`, which shares its number with VLS's ping.
 */
import { octets, option } from '../codec.ts';
import { failReason, logLevel, nodeId } from '../hsm-types.ts';
import { wirestring } from '../text.ts';
import { status } from './define.ts';

export const statusMessages = {
  hsmstatus_client_bad_request: status(
    1000,
    'A client sent a request that is malformed or not allowed to it.',
    {
      id: nodeId,
      description: wirestring,
      msg: octets,
    },
  ),
  status_log: status(0xfff0, 'A line for lightningd’s log.', {
    level: logLevel,
    peer: option(nodeId),
    entry: wirestring,
  }),
  status_fail: status(0xfff2, 'The subdaemon ends; for an hsmd this ends lightningd.', {
    failreason: failReason,
    desc: wirestring,
  }),
  status_version: status(0xfff6, 'The subdaemon’s version; if sent, it must be lightningd’s own.', {
    version: wirestring,
  }),
} as const;
