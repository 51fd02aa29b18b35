#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 300
# Signals by the thousand, to handlers and on stacks that are out; a program that is stopped does not stop another.
. "$(dirname "$0")/rough.sh"
rough_daemon

rough_case "SIGALRM every 500 us, SA_RESTART" rough-signals alarm-restarts
rough_case "SIGALRM every 500 us, without SA_RESTART" rough-signals alarm-interrupts
rough_case "SIGUSR1 and SIGUSR2 to threads, on alternate stacks" rough-signals threads

# Both are of one worker: they have its loop in common.
daemon_stop
daemon_config 1G "$ROUGH_LIMIT"
sed -i 's/^\[daemon\]/&\nworkers = 1/' vmpagerd.conf
daemon_start
neighbour_start
new_control control
"${RUN[@]}" --limit "$ROUGH_LIMIT" --stats stats.json -- "$HELPERS/rough-files" walk-threads "$TESTDIR/control" \
        $ROUGH_MIB >out 2>err </dev/null &
run=$!
at_exit "gone $run || rough_end $run"
"$ROUGH/rough-watch" control $run --hold
pid=$(control_word control 0)

# Stopped at moments that fall where they may: in a fault, a MOVE, between the ring and the eventfd.
for _ in {1..6}; do
        kill -STOP "$pid"
        before=$(control_pages control)
        neighbour_advances
        check_eq "pages compared by the stopped program" "$(control_pages control)" "$before"
        kill -CONT "$pid"
        wait_for 60 eval "[ \$(control_pages control) -ge $((before + 2000)) ]"
done
control_go control
wait $run || fail "the exit status of the program that was stopped is $?: $(cat out err; control_wrong control)"
rough_counts "SIGSTOP and SIGCONT, 6 times"
neighbour_end
wait_for 15 store_empty
