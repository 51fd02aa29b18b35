#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""text-file.py MIB SEED: prints MIB MiB that compress to about a third: lines of words, with blocks that came before far
away, and some noise. The same bytes for the same arguments, on every machine."""
import hashlib
import random
import sys

BLOCK = 64 << 10


def words(chance):
    return [bytes(chance.choices(b"abcdefghijklmnopqrstuvwxyz", k=chance.randint(3, 12))) for _ in range(4000)]


def text(chance, vocabulary):
    block = b" ".join(chance.choices(vocabulary, k=BLOCK // 6))[:BLOCK]
    return block.ljust(BLOCK, b"\n")


def main():
    mib, seed = int(sys.argv[1]), int(sys.argv[2])
    chance = random.Random(seed)
    vocabulary = words(chance)
    before = [text(chance, vocabulary) for _ in range(64)]
    for number in range((mib << 20) // BLOCK):
        what = chance.randrange(8)
        if what == 0:
            block = hashlib.shake_256(b"%d %d" % (seed, number)).digest(BLOCK)
        elif what < 5:
            block = before[chance.randrange(len(before))]
            at = chance.randrange(BLOCK - 100)
            block = block[:at] + hashlib.shake_256(b"%d" % number).digest(100) + block[at + 100 :]
        else:
            block = text(chance, vocabulary)
        before[chance.randrange(len(before))] = block
        sys.stdout.buffer.write(block)


main()
