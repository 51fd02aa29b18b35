#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""flip-sectors.py FILE N SEED: turns one bit over in each of N pages of a store of packed or sealed pages, of which nothing
was freed yet: what is not zeros in the file is in use, a page takes whole sectors, eight at most, and the first byte of
each is its own. So sectors that are eight or more apart are of different pages. Prints how many sectors are in use."""
import os
import random
import sys

SECTOR = 512
APART = 8


def main():
    path, n = sys.argv[1], int(sys.argv[2])
    chance = random.Random(int(sys.argv[3]))
    fd = os.open(path, os.O_RDWR)
    used = []
    at = 0
    while block := os.pread(fd, 1 << 20, at):
        for i in range(0, len(block), SECTOR):
            if any(block[i : i + SECTOR]):
                used.append((at + i) // SECTOR)
        at += len(block)
    taken = set()
    for sector in chance.sample(used, len(used)):
        if len(taken) == n:
            break
        if any(other in taken for other in range(sector - APART + 1, sector + APART)):
            continue
        taken.add(sector)
        byte = os.pread(fd, 1, sector * SECTOR)[0] ^ 1 << chance.randrange(8)
        os.pwrite(fd, bytes([byte]), sector * SECTOR)
    if len(taken) < n:
        sys.exit(f"{len(used)} sectors are in use, too few for {n} pages")
    os.fsync(fd)
    print("sectors", len(used))
    print("damaged", n)


main()
