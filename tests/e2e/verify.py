#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""verify.py MIB: builds a dict and bytearrays of 3 * MIB in all, shuffles them, changes them and checks them against
digests that were taken when they were made. Prints "resident_mib N" and "digest HEX"; exit status 1 if anything differs."""
import hashlib
import random
import sys

BLOCK = 64 << 10
TEXT = 400
SEED = 20


def resident_mib():
    """The most that was ever resident."""
    with open("/proc/self/status", encoding="ascii") as file:
        return next(int(line.split()[1]) // 1024 for line in file if line.startswith("VmHWM"))


def text_of(number, generation):
    return hashlib.sha256(b"%d %d" % (number, generation)).hexdigest() * (TEXT // 64) + str(number)


def differ(what):
    print("differs: " + what)
    sys.exit(1)


def main():
    mib = int(sys.argv[1])
    chance = random.Random(SEED)
    # A third of it a dict of strings; the rest bytearrays.
    texts = {number: text_of(number, 0) for number in range((mib << 20) // (TEXT + 200))}
    generation = dict.fromkeys(texts, 0)
    blocks = [bytearray(chance.randbytes(BLOCK)) for _ in range(2 * (mib << 20) // BLOCK)]
    digests = [hashlib.blake2b(block, digest_size=16).digest() for block in blocks]

    order = list(range(len(blocks)))
    chance.shuffle(order)
    blocks = [blocks[n] for n in order]
    digests = [digests[n] for n in order]
    for n, block in enumerate(blocks):
        if n % 4 == 0:
            at = chance.randrange(BLOCK - 64)
            block[at : at + 64] = chance.randbytes(64)
            digests[n] = hashlib.blake2b(block, digest_size=16).digest()
        elif n % 16 == 1:
            blocks[n] = block + block[:4096]
            digests[n] = hashlib.blake2b(blocks[n], digest_size=16).digest()

    keys = list(texts)
    chance.shuffle(keys)
    for number in keys[: len(keys) // 5]:
        generation[number] += 1
        texts[number] = text_of(number, generation[number])
    for number in keys[-1000:]:
        del texts[number], generation[number]

    whole = hashlib.sha256()
    for n, block in enumerate(blocks):
        if hashlib.blake2b(block, digest_size=16).digest() != digests[n]:
            differ("block %d" % n)
        whole.update(block)
    for number, text in texts.items():
        if text != text_of(number, generation[number]):
            differ("text %d" % number)
        whole.update(text.encode())
    print("resident_mib %d" % resident_mib())
    print("digest " + whole.hexdigest())


main()
