#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# "vmpagerctl run" is not noticed: status, signals, descriptors and environment are the program's; and nothing stays.
. "$(dirname "$0")/lib.sh"
here=$(dirname "$0")
skip_without jq pgrep "$PYTHON"
cd "$TESTDIR"

status_of() {
        local status=0
        "$@" || status=$?
        echo $status
}

# Waits for vmpagerctl, started in the background, and sets status.
await_run() {
        status=0
        wait "$run" || status=$?
}

echo "--- exit status"
check_eq "the status of true" "$(status_of "${RUN[@]}" --private true)" 0
check_eq "the status of exit 7" "$(status_of "${RUN[@]}" --private -- sh -c 'exit 7')" 7
check_eq "the status after SIGTERM" "$(status_of "${RUN[@]}" --private sh -c 'kill -TERM $$')" 143
check_eq "the status of a script" "$(printf '#!/bin/sh\nexit 8\n' >script && chmod +x script &&
        status_of "${RUN[@]}" --private ./script)" 8
check_eq "CMD's own options" "$("${RUN[@]}" --private printf '%s,' --limit -- 1)" "--limit,--,1,"
check_no_traces

echo "--- input, output, descriptors, environment"
head -c 3000000 /dev/urandom >data
"${RUN[@]}" --private cat <data >copy
cmp data copy
check_eq "an empty input" "$("${RUN[@]}" --private wc -c </dev/null)" 0
# shellcheck disable=SC2016
listing='for fd in /proc/$$/fd/*; do printf "%s " "${fd##*/}"; done'
check_eq "descriptors" "$("${RUN[@]}" --private bash -c "$listing" 5</dev/null)" "$(bash -c "$listing" 5</dev/null)"
check_eq "descriptors without stdin" "$("${RUN[@]}" --private bash -c "$listing" <&-)" "$(bash -c "$listing" <&-)"
env -u LD_PRELOAD env | grep -v '^_=' | sort >env.native
"${RUN[@]}" --private env | grep -v '^_=' | sort >env.paged
check_match "the environment" "$(comm -13 env.native env.paged)" '^LD_PRELOAD=[^: ]*/libvmpager-preload\.so$'
check_eq "what is gone from the environment" "$(comm -23 env.native env.paged)" ""
# shellcheck disable=SC2016
check_match "LD_PRELOAD" "$(LD_PRELOAD=libm.so.6 "${RUN[@]}" --private sh -c 'echo $LD_PRELOAD')" \
        '^/[^:]*/libvmpager-preload\.so:libm\.so\.6$'
check_eq "an ignored SIGCHLD" "$(trap '' CHLD && status_of "${RUN[@]}" --private sh -c 'exit 9')" 9
check_no_traces

echo "--- signals"
for signal in INT QUIT TERM HUP USR1 USR2 ALRM WINCH CONT TSTP; do
        rm -f taker
        "${RUN[@]}" --private "$here/signal-taker" taker &
        run=$!
        wait_for 30 test -s taker
        kill -s $signal $run
        await_run
        check_eq "the number of SIG$signal" $status "$(kill -l $signal)"
done
# Sent by CMD to its group, vmpagerctl among it, it comes to CMD once.
check_eq "signals to the group" "$(status_of setsid -w "${RUN[@]}" --private "$here/signal-taker" taker group)" 101
check_no_traces

echo "--- statistics"
umask 027
echo old >stats.json
chmod 600 stats.json
"${RUN[@]}" --limit 64M --stats stats.json --private "$HELPERS/page-writer" 200 >/dev/null
"$PYTHON" "$here/check-stats" stats.json
check_num "evicted pages" "$(json stats.json '.clients[0].evicted_pages')" -ge 30000
check_num "written pages" "$(json stats.json '.clients[0].written_pages')" -ge 30000
check_num "pages read from disk" "$(fetched stats.json)" -ge 30000
check_num "the limit" "$(json stats.json '.clients[0].limit_bytes')" -eq $((64 << 20))
check_eq "the name" "$(json stats.json ".clients[0].comm")" page-writer
check_eq "the mode of a new file" "$(stat -c %a stats.json)" 640
check_eq "left beside it" "$(compgen -G 'stats.json.*' || true)" ""
"${RUN[@]}" --limit 64M --stats stats.json --private env true
check_eq "the limits of a program and of what it became" \
        "$(json stats.json '[.clients[].limit_bytes / 1048576 | tostring] | join(" ")')" "64 64"
"${RUN[@]}" --limit 64M --stats /dev/stdout --private true | jq -e .version >/dev/null
check_eq "the status with statistics" "$(status_of "${RUN[@]}" --private --stats stats.json sh -c 'exit 5')" 5
umask 022
check_no_traces

# Starts CMD with its pid in the file cmd; waits until it is there. Sets run and cmd.
start() {
        rm -f cmd go
        "${RUN[@]}" --limit 64M --private "$@" >out 2>err &
        run=$!
        wait_for 30 test -s cmd
        cmd=$(cat cmd)
}

echo "--- CMD is killed"
start "$HELPERS/page-writer" 200 cmd go
kill -KILL "$cmd"
await_run
check_eq "the status after SIGKILL" $status 137
check_no_traces

echo "--- vmpagerctl is killed: CMD goes on unharmed, and then all is removed"
start "$HELPERS/page-writer" 200 cmd go
end_process $run KILL
gone "$cmd" && fail "CMD ended with vmpagerctl"
touch go
wait_for 120 gone "$cmd"
check_match "the output of CMD" "$(cat out)" '^ok$'
check_no_traces

echo "--- both are killed"
start "$HELPERS/page-writer" 200 cmd go
kill -KILL $run "$cmd"
check_no_traces

echo "--- the private daemon is killed: CMD would wait for ever"
start "$HELPERS/page-writer" 200 cmd go
preload=$(tr '\0' '\n' <"/proc/$cmd/environ" | sed -n 's/^LD_PRELOAD=//p')
kill -KILL "$(pgrep -f -- "--config ${preload%/*}/vmpager.conf")"
await_run
check_eq "the status without daemon" $status 125
check_match "the message" "$(cat err)" 'private vmpagerd has ended'
wait_for 10 gone "$cmd"
check_no_traces

echo "--- CMD leaves a program behind: its daemon stays until it ends"
rm -f cmd go
# shellcheck disable=SC2016
"${RUN[@]}" --limit 64M --private bash -c '"$0" 200 cmd go >out 2>&1 &
        until [ -s cmd ]; do read -r -t 0.02 </dev/zero || true; done' "$HELPERS/page-writer" 2>err
check_match "the message" "$(cat err)" 'left behind go on'
cmd=$(cat cmd)
gone "$cmd" && fail "what CMD left behind has ended"
touch go
wait_for 120 gone "$cmd"
check_match "the output of what was left behind" "$(cat out)" '^ok$'
check_no_traces

echo "--- a daemon that is there is used"
daemon_config 512M 96M
daemon_start
rm -f cmd go
"${RUN[@]}" --limit 64M --stats stats.json "$HELPERS/page-writer" 200 cmd go >out 2>err &
run=$!
wait_for 30 test -s cmd
"$VMPAGERCTL" stats "$(cat cmd)" --json >live.json
"$PYTHON" "$here/check-stats" live.json
check_eq "programs" "$(json live.json '.clients | length')" 1
check_eq "the pid" "$(json live.json '.clients[0].pid')" "$(cat cmd)"
check_num "the limit" "$(json live.json '.clients[0].limit_bytes')" -eq $((64 << 20))
check_match "the summary" "$("$VMPAGERCTL" stats)" "^$(cat cmd) page-writer$"
check_match "the version" "$("$VMPAGERCTL" version)" '^vmpagerd [0-9.]+, protocol [0-9.]+, at '
refused 'process id' "$VMPAGERCTL" stats 999999999
touch go
wait $run
check_eq "messages" "$(cat err)" ""
check_num "evicted pages" "$(total stats.json .evicted_pages)" -ge 30000
"${RUN[@]}" --stats stats.json "$HELPERS/page-writer" 20 >/dev/null
check_num "the class's limit" "$(json stats.json '.clients[0].limit_bytes')" -eq $((96 << 20))
check_eq "programs of that run" "$(json stats.json '.clients | length')" 1
check_no_traces
