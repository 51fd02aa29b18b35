#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Makes ./configure. tools/build calls it when that is needed.
set -e
cd "$(dirname "$0")"
exec autoreconf --force --install --warnings=all,no-obsolete,no-portability
