// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The points that are set stand in one list. A visit counts for every entry of its name, and the first one whose
 * turn it is takes effect: "w=errno:EIO@2x1,w=kill@5" fails the third visit and ends the daemon at the sixth.
 */
#include "util/faultpoint.h"

#include "util/error.h"
#include "util/size.h"

#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ERRNO_MOST 4095 /* the kernel's MAX_ERRNO */

struct point {
        char *name;
        struct faultpoint_hit hit;
        uint64_t skip;
        uint64_t times; /* UINT64_MAX: for ever */
        uint64_t visits;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* of the two below */
static struct point *points;
static size_t n_points;
static atomic_bool any;

static void free_points(struct point *p, size_t n)
{
        for (size_t i = 0; i < n; i++)
                free(p[i].name);
        free(p);
}

static int parse_count(const char *text, uint64_t *out)
{
        char *end;

        if (*text < '0' || *text > '9')
                return -EINVAL;
        errno = 0;
        *out = strtoull(text, &end, 10);
        return errno || *end ? -EINVAL : 0;
}

static int parse_errno(const char *name, int64_t *out)
{
        for (int i = 1; i <= ERRNO_MOST; i++) {
                const char *known = strerrorname_np(i);

                if (known && strcmp(known, name) == 0) {
                        *out = -i;
                        return 0;
                }
        }
        return -EINVAL;
}

/* action[:argument] */
static int parse_action(char *text, struct faultpoint_hit *hit)
{
        char *argument = strchr(text, ':');
        uint64_t value = 0;
        int r;

        if (argument)
                *argument++ = '\0';
        if (strcmp(text, "kill") == 0 || strcmp(text, "hang") == 0) {
                hit->action = *text == 'k' ? FAULTPOINT_KILL : FAULTPOINT_HANG;
                return argument ? -EINVAL : 0;
        }
        if (!argument)
                return -EINVAL;
        if (strcmp(text, "errno") == 0) {
                hit->action = FAULTPOINT_ERRNO;
                return parse_errno(argument, &hit->value);
        }
        if (strcmp(text, "delay") == 0) {
                hit->action = FAULTPOINT_DELAY;
                r = duration_parse(argument, &value);
        } else if (strcmp(text, "short") == 0) {
                hit->action = FAULTPOINT_SHORT;
                r = parse_count(argument, &value);
        } else {
                return -EINVAL;
        }
        if (r == 0 && value > INT64_MAX)
                r = -EINVAL;
        hit->value = (int64_t)value;
        return r;
}

/* name=action[:argument][@skip][xtimes]; no action or argument has a '@' or an 'x' in it. */
static int parse_point(char *text, struct point *p)
{
        char *action = strchr(text, '='), *skip, *times;

        *p = (struct point){ .times = UINT64_MAX };
        if (!action || action == text)
                return -EINVAL;
        *action++ = '\0';
        times = strchr(action, 'x');
        if (times) {
                *times++ = '\0';
                if (parse_count(times, &p->times) < 0 || !p->times)
                        return -EINVAL;
        }
        skip = strchr(action, '@');
        if (skip) {
                *skip++ = '\0';
                if (parse_count(skip, &p->skip) < 0)
                        return -EINVAL;
        }
        if (parse_action(action, &p->hit) < 0)
                return -EINVAL;
        p->name = strdup(text);
        return p->name ? 0 : -ENOMEM;
}

static void replace(struct point *p, size_t n)
{
        struct point *old;
        size_t n_old;

        pthread_mutex_lock(&lock);
        old = points;
        n_old = n_points;
        points = p;
        n_points = n;
        atomic_store_explicit(&any, n > 0, memory_order_relaxed);
        pthread_mutex_unlock(&lock);
        free_points(old, n_old);
}

/* Parses one after another, and only replaces what is set when all are right. */
int faultpoint_set(const char *text, struct error *e)
{
        struct point *list = NULL;
        size_t n = 0;

        while (text && *text) {
                size_t len = strcspn(text, ",");
                char *part = strndup(text, len);
                struct point *longer = reallocarray(list, n + 1, sizeof(*list));
                int r = -ENOMEM;

                if (longer)
                        list = longer;
                if (part && longer)
                        r = parse_point(part, &list[n]);
                free(part);
                if (r < 0) {
                        free_points(list, n);
                        return r == -ENOMEM ? error_sys(e, r, "fault points") :
                                              error_set(e, r,
                                                        "\"%.*s\" is no fault point: write name=action"
                                                        "[:argument][@skip][xtimes], with errno:NAME, "
                                                        "delay:TIME, short:BYTES, hang or kill",
                                                        (int)(len < 200 ? len : 200), text);
                }
                n++;
                text += len;
                if (*text == ',')
                        text++;
        }
        replace(list, n);
        return 0;
}

static bool point_due(struct point *p)
{
        uint64_t visit = p->visits++;

        return visit >= p->skip && visit - p->skip < p->times;
}

struct faultpoint_hit faultpoint_visit(const char *name)
{
        struct faultpoint_hit hit = { FAULTPOINT_NONE, 0 };

        if (!atomic_load_explicit(&any, memory_order_relaxed))
                return hit;
        pthread_mutex_lock(&lock);
        for (size_t i = 0; i < n_points; i++)
                if (strcmp(points[i].name, name) == 0 && point_due(&points[i]) && hit.action == FAULTPOINT_NONE)
                        hit = points[i].hit;
        pthread_mutex_unlock(&lock);

        if (hit.action == FAULTPOINT_KILL) {
                kill(getpid(), SIGKILL);
                for (;;)
                        pause();
        }
        return hit;
}
