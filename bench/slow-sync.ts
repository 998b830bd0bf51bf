/**
 * A disk that takes its time: a library to preload that holds every fsync and fdatasync up, as a consumer's SSD or a network volume
 * does. Needs a C compiler; without one only the disk that is there is measured.
 */
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

const SOURCE = `
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <time.h>

static int held_up(const char *name, int fd) {
  const char *text = getenv("BENCH_SYNC_US");
  long us = text ? atol(text) : 0;
  struct timespec pause = { us / 1000000, (us % 1000000) * 1000 };
  int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, name);
  nanosleep(&pause, NULL);
  return real(fd);
}

int fsync(int fd) { return held_up("fsync", fd); }
int fdatasync(int fd) { return held_up("fdatasync", fd); }
`;

/** Environment of a process whose syncs take so much longer; null without a compiler. */
export function slowSyncs(directory: string, us: number): Record<string, string> | null {
  const [source, library] = [join(directory, 'slow-sync.c'), join(directory, 'slow-sync.so')];
  writeFileSync(source, SOURCE);
  const { status } = spawnSync('cc', ['-shared', '-fPIC', '-O1', '-o', library, source, '-ldl']);
  return status === 0 ? { LD_PRELOAD: library, BENCH_SYNC_US: String(us) } : null;
}
