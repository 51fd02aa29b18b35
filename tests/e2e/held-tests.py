#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""held-tests.py MIB ARGUMENT...: Python's own test suite (python3 -m test ARGUMENT...) in a process that holds MIB MiB of
memory beside it. Before and after each test a part of that memory is changed and all of it is checked in turn, so that
with a limit the interpreter's own pages are always on their way in or out."""
import random
import sys
import unittest
import zlib

from test.libregrtest import main

BLOCK = 256 << 10
AT_ONCE = 6  # blocks walked through before each test


class Hold:
    def __init__(self, mib):
        self.chance = random.Random(5)
        self.blocks = [bytearray(self.chance.randbytes(BLOCK)) for _ in range((mib << 20) // BLOCK)]
        self.sums = [zlib.crc32(block) for block in self.blocks]
        self.next = 0

    def walk(self, count):
        for _ in range(count):
            n = self.next
            self.next = (n + 1) % len(self.blocks)
            block = self.blocks[n]
            if zlib.crc32(block) != self.sums[n]:
                raise SystemError("held block %d has changed" % n)
            at = self.chance.randrange(BLOCK - 16)
            block[at : at + 16] = self.chance.randbytes(16)
            self.sums[n] = zlib.crc32(block)


def with_walks(run, hold):
    def walked(self, result=None):
        hold.walk(AT_ONCE)
        outcome = run(self, result)
        hold.walk(1)
        return outcome

    return walked


if __name__ == "__main__":
    held = Hold(int(sys.argv[1]))
    unittest.TestCase.run = with_walks(unittest.TestCase.run, held)
    sys.argv[1:] = sys.argv[2:]
    try:
        main()
    finally:
        held.walk(len(held.blocks))
