#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""flip-bits.py FILE TAG N SEED: turns one bit over in each of N pages of a store that hold what `flipped` wrote with that
TAG. Each page of it must be there once. Prints how many there are, and how many were damaged."""
import os
import random
import struct
import sys

PAGE = 4096


def main():
    path, tag, n = sys.argv[1], int(sys.argv[2], 16) << 32, int(sys.argv[3])
    chance = random.Random(int(sys.argv[4]))
    places = {}
    fd = os.open(path, os.O_RDWR)
    for at in range(0, os.fstat(fd).st_size, PAGE):
        page = os.pread(fd, PAGE, at)
        first = struct.unpack_from("<Q", page)[0]
        if len(page) < PAGE or first & ~0xFFFFFFFF != tag:
            continue
        if first in places:
            sys.exit(f"page {(first - tag) // 512} is there twice, at {places[first]} and {at}")
        places[first] = at
    if len(places) < n:
        sys.exit(f"{len(places)} pages are there, and {n} are to be damaged")
    for at in chance.sample(sorted(places.values()), n):
        bit = chance.randrange(PAGE * 8)
        byte = os.pread(fd, 1, at + bit // 8)[0] ^ 1 << bit % 8
        os.pwrite(fd, bytes([byte]), at + bit // 8)
    os.fsync(fd)
    print("pages", len(places))
    print("damaged", n)


main()
