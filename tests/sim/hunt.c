// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Each run is a process of its own, since a failing one may end by a signal; what it found is in memory that both have.
 * Where a short episode fails in the same way, it is the better one to look at. That is made shorter by leaving out
 * steps, ever smaller pieces of the list, as long as it fails in the same way ("delta debugging", Zeller and
 * Hildebrandt 2002).
 */
#include "hunt.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "world.h"

#define EPISODE_SECONDS 60
#define SHRINK_SECONDS  30

/* So long a short episode that fails is looked for, of each length from the shortest on. */
#define SHORT_SECONDS 5
#define SHORTEST      100u

void hunt_begin(void)
{
        sim_result = mmap(NULL, sizeof(*sim_result), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (sim_result == MAP_FAILED)
                abort();
}

/* Waits for a run. False: it failed. */
static bool ended_well(pid_t pid)
{
        int status;

        if (pid < 0 || waitpid(pid, &status, 0) < 0)
                abort();
        if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
                return true;
        if (sim_result->text[0] == '\0') {
                if (WIFSIGNALED(status))
                        snprintf(sim_result->text, sizeof(sim_result->text), "it ends by signal %d (%s)",
                                 WTERMSIG(status), strsignal(WTERMSIG(status)));
                else
                        snprintf(sim_result->text, sizeof(sim_result->text), "it ends with status %d",
                                 WEXITSTATUS(status));
                snprintf(sim_result->kind, sizeof(sim_result->kind), "%.100s", sim_result->text);
        }
        return false;
}

bool hunt(uint64_t seed, uint64_t first, uint64_t steps)
{
        pid_t pid;

        memset(sim_result, 0, sizeof(*sim_result));
        fflush(stdout);
        pid = fork();
        if (pid)
                return ended_well(pid);
        for (uint64_t e = first; world.steps < steps; e++) {
                alarm(EPISODE_SECONDS);
                sim_result->episode = e;
                world_episode(sim_random_seed(seed, e), NULL, SIM_EPISODE_STEPS);
                sim_result->steps = world.steps;
                sim_result->episodes++;
        }
        _exit(0);
}

/* Runs a part of an episode. False: it failed. */
static bool run_part(uint64_t seed, const uint32_t *kept, unsigned n, bool trace)
{
        pid_t pid;

        memset(sim_result, 0, sizeof(*sim_result));
        fflush(stdout);
        pid = fork();
        if (pid)
                return ended_well(pid);
        alarm(EPISODE_SECONDS);
        world.trace = trace;
        world_episode(seed, kept, n);
        fflush(stdout);
        _exit(0);
}

bool hunt_trace(uint64_t seed, uint64_t episode)
{
        return run_part(sim_random_seed(seed, episode), NULL, SIM_EPISODE_STEPS, true);
}

static bool is_wrong_content(const char *kind)
{
        return strstr(kind, " reads ");
}

/* Whether the last run failed in that way. What a thread reads in place of the right bytes makes no difference. */
static bool is_same(const char *kind)
{
        return is_wrong_content(kind) ? is_wrong_content(sim_result->kind) : strcmp(sim_result->kind, kind) == 0;
}

static bool fails_so(uint64_t seed, const uint32_t *kept, unsigned n, const char *kind)
{
        return !run_part(seed, kept, n, false) && is_same(kind);
}

static time_t seconds(void)
{
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return now.tv_sec;
}

/* Leaves out what is not needed. Returns how many steps are left. */
static unsigned shrink(uint64_t seed, uint32_t *kept, unsigned n, const char *kind)
{
        uint32_t without[SIM_EPISODE_STEPS];
        time_t end = seconds() + SHRINK_SECONDS;
        bool shorter;

        do {
                shorter = false;
                for (unsigned len = n / 2 + 1; len >= 1; len /= 2)
                        for (unsigned at = 0; at < n && seconds() < end;) {
                                unsigned gone = at + len < n ? len : n - at;

                                memcpy(without, kept, at * sizeof(*kept));
                                memcpy(without + at, kept + at + gone, (n - at - gone) * sizeof(*kept));
                                if (!fails_so(seed, without, n - gone, kind)) {
                                        at += len;
                                        continue;
                                }
                                memcpy(kept, without, (n - gone) * sizeof(*kept));
                                n -= gone;
                                shorter = true;
                        }
        } while (shorter && seconds() < end);
        return n;
}

/* Runs episodes of n steps until one fails so, for some seconds. Returns its seed, 0: none has. */
static uint64_t find_short(uint64_t seed, unsigned n, const char *kind)
{
        time_t end = seconds() + SHORT_SECONDS;
        pid_t pid;

        memset(sim_result, 0, sizeof(*sim_result));
        fflush(stdout);
        pid = fork();
        if (pid)
                return !ended_well(pid) && is_same(kind) ? sim_result->episode : 0;
        for (uint64_t e = 0; seconds() < end; e++) {
                alarm(EPISODE_SECONDS);
                sim_result->episode = sim_random_seed(~seed, e);
                world_episode(sim_result->episode, NULL, n);
        }
        _exit(0);
}

void hunt_explain(uint64_t seed)
{
        uint64_t episode = sim_result->episode, of_episode = sim_random_seed(seed, episode), other = 0;
        uint32_t kept[SIM_EPISODE_STEPS];
        unsigned n = SIM_EPISODE_STEPS, at = (unsigned)sim_result->at;
        char kind[sizeof(sim_result->kind)];

        printf("episode %llu: %s\n", (unsigned long long)episode, sim_result->text);
        memcpy(kind, sim_result->kind, sizeof(kind));
        for (unsigned i = 0; i < n; i++)
                kept[i] = i;
        for (unsigned most = SHORTEST; other == 0 && most < SIM_EPISODE_STEPS; most *= 2) {
                other = find_short(seed, most, kind);
                if (other)
                        n = most;
        }
        of_episode = other ? other : of_episode;
        if (other)
                printf("another that fails in this way has %u steps: %s\n", n, sim_result->text);
        else if (at + 1 < n && fails_so(of_episode, kept, at + 1, kind))
                n = at + 1;
        n = shrink(of_episode, kept, n, kind);
        printf("with %u of its steps:\n", n);
        run_part(of_episode, kept, n, true);
        sim_result->episode = episode;
}
