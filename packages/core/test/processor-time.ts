/** How long something takes, without what others do on this machine meanwhile. */

/** Milliseconds of processor time that this process spends on it. */
export function processorMs(action: () => unknown): number {
  const began = process.cpuUsage();
  action();
  const { user, system } = process.cpuUsage(began);
  return (user + system) / 1000;
}
