#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Redis commands as raw RESP, for redis-cli --pipe; the same bytes for the same arguments, on every machine.

    redis-load.py load KEYS BYTES SEED       SET of all keys, once
    redis-load.py change KEYS BYTES SEED N   N times SET, SETRANGE, APPEND or GETRANGE of a random key

Values do not compress: they are the key stream of SHAKE-256.
"""
import hashlib
import random
import sys


def command(*parts):
    out = [b"*%d\r\n" % len(parts)]
    for part in parts:
        out.append(b"$%d\r\n" % len(part))
        out.append(part)
        out.append(b"\r\n")
    sys.stdout.buffer.write(b"".join(out))


def value(seed, number, size):
    return hashlib.shake_256(b"%d:%d" % (seed, number)).digest(size)


def name(number):
    return b"key:%012d" % number


def change(keys, size, seed, times):
    chance = random.Random(seed)
    for n in range(times):
        key = name(chance.randrange(keys))
        what = chance.randrange(4)
        if what == 0:
            command(b"SET", key, value(seed, n, size))
        elif what == 1:
            command(b"SETRANGE", key, b"%d" % chance.randrange(size - 5000), value(seed, n, 5000))
        elif what == 2:
            command(b"APPEND", key, value(seed, n, chance.randrange(1, 3000)))
        else:
            at = chance.randrange(size - 5000)
            command(b"GETRANGE", key, b"%d" % at, b"%d" % (at + 5000))


def main():
    keys, size, seed = (int(argument) for argument in sys.argv[2:5])
    if sys.argv[1] == "load":
        for number in range(keys):
            command(b"SET", name(number), value(seed, number, size))
    else:
        change(keys, size, seed, int(sys.argv[5]))


main()
