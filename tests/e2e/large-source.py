#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""large-source.py FUNCTIONS SEED: prints a C file with a table of structs and that many functions that call each other and
use the table; the same bytes for the same arguments."""
import random
import sys


def expression(chance, names, depth):
    if depth == 0:
        return chance.choice(names) if chance.randrange(3) else str(chance.randrange(1, 1000))
    return "(%s %s %s)" % (
        expression(chance, names, depth - 1),
        chance.choice(["+", "-", "*", "^", "&", "|"]),
        expression(chance, names, depth - 1),
    )


def function(chance, number):
    names = ["a", "b", "t[a & 1023].x", "t[b & 1023].y"]
    print("long f%d(long a, long b)\n{" % number)
    for line in range(6):
        print("    long v%d = %s;" % (line, expression(chance, names, 3)))
        names.append("v%d" % line)
    print("    for (long i = 0; i < (v0 & 15); i++) {")
    print("        switch (i & 3) {")
    for case in range(3):
        print("        case %d: v%d += %s; break;" % (case, case, expression(chance, names + ["i"], 2)))
    print("        default: t[i].s = s%d;" % number)
    print("        }\n    }")
    if number:
        print("    if (v1 > v2) v3 += f%d(v4, v5);" % chance.randrange(number))
    print("    return %s;\n}\n" % expression(chance, names, 3))


def main():
    functions, seed = int(sys.argv[1]), int(sys.argv[2])
    chance = random.Random(seed)
    print("struct item { long x, y; const char *s; };\nextern struct item t[1024];")
    print("static const long table[] = {")
    for _ in range(8000):
        print("    " + ", ".join(str(chance.randrange(1 << 40)) for _ in range(8)) + ",")
    print("};\nlong pick(unsigned n) { return table[n % (sizeof(table) / sizeof(*table))]; }\n")
    for number in range(functions):
        print('static const char s%d[] = "%s";' % (number, "".join(chance.choices("abcdefghij ", k=40))))
        function(chance, number)


main()
