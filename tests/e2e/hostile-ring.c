// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Clients that are taken, outgrow their limit, and then lie to the daemon through the ring, the gate, the descriptors.
 *
 *     hostile-ring CASE SOCKET
 *
 * Prints "there" when the lie is told, and goes on with it until it is killed, by the daemon or by the test. The first
 * thread is the agent; another fills memory, and hangs where the daemon has reason to let it. See hostile.h.
 */
#include "hostile.h"

#include <pthread.h>
#include <sys/wait.h>
#include <time.h>

#define MIB     (1ul << 20)
#define FILL    (48 * MIB) /* three times the limit */
#define PUNCH   (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE)
#define BATCHES 64

static const char *path;
static struct hostile h;
static uint64_t random_state = 88172645463325252;

static uint64_t next_random(void)
{
        random_state ^= random_state << 13;
        random_state ^= random_state >> 7;
        random_state ^= random_state << 17;
        return random_state;
}

static void there(void)
{
        (void)!write(1, "there\n", 6);
}

static void *fill(void *arg)
{
        uint8_t *memory = mmap(NULL, FILL, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        must(memory != MAP_FAILED);
        for (;;)
                for (size_t at = 0; at < FILL; at += VMPAGER_PAGE)
                        *(volatile uint64_t *)(memory + at) += at + 1;
        return arg;
}

static void in_thread(void *(*run)(void *), void *arg)
{
        pthread_t thread;

        must((errno = pthread_create(&thread, NULL, run, arg)) == 0);
}

/* Waits for an order, and until it is there in full. */
static struct vmpager_batch *order(void)
{
        while (atomic_load(&h.ring->posted) == atomic_load(&h.ring->completed))
                syscall(SYS_futex, &h.ring->posted, FUTEX_WAIT, atomic_load(&h.ring->completed), NULL, NULL, 0);
        return &h.ring->batch[atomic_load(&h.ring->completed) % VMPAGER_RING_BATCHES];
}

static void answer(struct vmpager_batch *b, uint8_t result)
{
        memset(b->result, result, VMPAGER_BATCH_PAGES);
        atomic_fetch_add(&h.ring->completed, 1);
        hostile_notify(&h);
}

_Noreturn static void answer_all(uint8_t result)
{
        for (unsigned n = 0;; n++) {
                answer(order(), result);
                if (n == BATCHES)
                        there();
        }
}

_Noreturn static void wait_for_ever(void)
{
        there();
        for (;;)
                pause();
}

static void join_and_fill(void)
{
        hostile_join(&h, path);
        in_thread(fill, NULL);
}

/* --- answers ------------------------------------------------------------------------------------------------ */

static void never_answers(void)
{
        join_and_fill();
        order();
        wait_for_ever();
}

static void never_ordered(void)
{
        join_and_fill();
        order();
        atomic_fetch_add(&h.ring->completed, 1000);
        hostile_notify(&h);
        wait_for_ever();
}

/* Raised all the time, from the start, without an order. */
static void before_any(void)
{
        hostile_join(&h, path);
        atomic_store(&h.ring->completed, 1);
        hostile_notify(&h);
        wait_for_ever();
}

static void nonsense(void)
{
        join_and_fill();
        answer(order(), 200);
        wait_for_ever();
}

/* Nothing has moved, and it is said that all has. */
static void says_moved(void)
{
        join_and_fill();
        order();
        there();
        for (;;)
                answer(order(), VMPAGER_RES_MOVED);
}

static void says_zero(void)
{
        join_and_fill();
        order();
        there();
        for (;;)
                answer(order(), VMPAGER_RES_BARE_ZERO);
}

static void says_cancelled(void)
{
        join_and_fill();
        answer_all(VMPAGER_RES_CANCELLED);
}

static void says_foreign(void)
{
        join_and_fill();
        order();
        there();
        for (;;)
                answer(order(), VMPAGER_RES_FOREIGN);
}

/* --- the ring ------------------------------------------------------------------------------------------------ */

/* The daemon cannot read the client's events any more. */
static void holds_gate(void)
{
        join_and_fill();
        order();
        atomic_store(&h.ring->moving, 1);
        wait_for_ever();
}

/* In the gate and out of it, as often as can be, with a word to the daemon each time. */
static void slams_gate(void)
{
        join_and_fill();
        order();
        there();
        for (;;) {
                atomic_store(&h.ring->moving, 1);
                hostile_notify(&h);
                atomic_store(&h.ring->moving, 0);
                hostile_notify(&h);
        }
}

/* Random words all over the header and the batches; `completed` stays within bounds most of the time. */
static void scribbles(void)
{
        uint64_t *words;

        join_and_fill();
        order();
        words = (uint64_t *)h.ring;
        there();
        for (;;) {
                for (int i = 0; i < 1000; i++)
                        words[next_random() % (VMPAGER_RING_SLOTS_AT / 8)] = next_random() >> (next_random() % 64);
                atomic_store(&h.ring->completed, atomic_load(&h.ring->posted) - (uint32_t)next_random() % 9);
                hostile_notify(&h);
        }
}

static void *punch(void *arg)
{
        for (;;)
                fallocate(h.memfd, PUNCH, 0, (off_t)h.offer.ring_bytes);
        return arg;
}

/* The memory behind the ring is taken away all the time, header and slots. */
static void punches(void)
{
        join_and_fill();
        order();
        in_thread(punch, NULL);
        there();
        for (;;)
                answer(order(), VMPAGER_RES_MOVED);
}

/* --- floods -------------------------------------------------------------------------------------------------- */

static void *notify(void *arg)
{
        uint64_t n = UINT64_MAX - 1;

        for (;;) {
                hostile_notify(&h);
                (void)!read(h.event, &n, sizeof(n));
        }
        return arg;
}

static void floods_eventfd(void)
{
        join_and_fill();
        order();
        for (int i = 0; i < 3; i++)
                in_thread(notify, NULL);
        wait_for_ever();
}

/* The counter is at its end: no write succeeds. */
static void fills_eventfd(void)
{
        uint64_t most = UINT64_MAX - 1;

        join_and_fill();
        must(write(h.event, &most, sizeof(most)) == sizeof(most));
        answer_all(VMPAGER_RES_BUSY);
}

static void *drop(void *arg)
{
        uint8_t *block = mmap(NULL, 64 * VMPAGER_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        must(block != MAP_FAILED);
        for (;;)
                madvise(block, VMPAGER_PAGE, MADV_DONTNEED);
        return arg;
}

static void *map_and_unmap(void *arg)
{
        for (;;) {
                uint8_t *block =
                        mmap(NULL, 2 * VMPAGER_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

                *(volatile uint8_t *)block = 1;
                munmap(block, 2 * VMPAGER_PAGE);
        }
        return arg;
}

/* Four threads that do nothing but make events, beyond the limit: all their mappings are registered. */
static void floods_events(void)
{
        join_and_fill();
        order();
        for (int i = 0; i < 4; i++)
                in_thread(i % 2 ? drop : map_and_unmap, NULL);
        there();
        answer_all(VMPAGER_RES_CANCELLED);
}

static void floods_socket(void)
{
        char bytes[128] = "";

        join_and_fill();
        order();
        there();
        for (;;)
                send(h.sock, bytes, sizeof(bytes), MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* --- another process ----------------------------------------------------------------------------------------- */

/* The child makes a userfaultfd of its own memory, which it sends, and touches memory that is then registered. */
static pid_t give_userfaultfd(int device, int to)
{
        pid_t pid = fork();

        if (pid == 0) {
                int fd = ioctl(device, USERFAULTFD_IOC_NEW, O_CLOEXEC | O_NONBLOCK);

                must(fd >= 0 && hostile_send(to, "u", 1, &fd, 1) == 1);
                fill(NULL);
        }
        must(pid > 0);
        return pid;
}

static void join_with_other(pid_t *child)
{
        struct vmpager_register reg;
        struct hostile from;
        int fds[3], ends[2], device, uffd = -1;

        must(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends) == 0);
        hostile_prepare(&h, path);
        device = open("/dev/userfaultfd", O_RDWR | O_CLOEXEC);
        must(device >= 0);
        *child = give_userfaultfd(device, ends[1]);
        from.sock = ends[0];
        hostile_receive(&from, NULL, 0, &uffd);
        must(uffd >= 0);
        reg = hostile_message(&h);
        fds[0] = uffd;
        fds[1] = h.memfd;
        fds[2] = h.event;
        must(hostile_register(&h, &reg, fds, 3) == VMPAGER_READY);
}

/* Orders come for this process's memory, faults for the child's. */
static void others_userfaultfd(void)
{
        pid_t child;

        join_with_other(&child);
        in_thread(fill, NULL);
        order();
        there();
        for (;;)
                answer(order(), VMPAGER_RES_MOVED);
}

static void dead_ones_userfaultfd(void)
{
        pid_t child;

        join_with_other(&child);
        kill(child, SIGKILL);
        must(waitpid(child, NULL, 0) == child);
        in_thread(fill, NULL);
        nanosleep(&(struct timespec){ .tv_sec = 1 }, NULL); /* it is as dead before and after */
        wait_for_ever();
}

/* The connection goes on in a process of the same number that has other memory. */
static void execs(void)
{
        join_and_fill();
        order();
        must(fcntl(h.sock, F_SETFD, 0) == 0);
        execl("/bin/sh", "sh", "-c", "echo there; exec sleep 1000", (char *)NULL);
        must(false);
}

int main(int argc, char **argv)
{
        static const struct {
                const char *name;
                void (*run)(void);
        } cases[] = {
                { "never-answers", never_answers },
                { "never-ordered", never_ordered },
                { "before-any", before_any },
                { "nonsense", nonsense },
                { "says-moved", says_moved },
                { "says-zero", says_zero },
                { "says-cancelled", says_cancelled },
                { "says-foreign", says_foreign },
                { "holds-gate", holds_gate },
                { "slams-gate", slams_gate },
                { "scribbles", scribbles },
                { "punches", punches },
                { "floods-eventfd", floods_eventfd },
                { "fills-eventfd", fills_eventfd },
                { "floods-events", floods_events },
                { "floods-socket", floods_socket },
                { "others-userfaultfd", others_userfaultfd },
                { "dead-ones-userfaultfd", dead_ones_userfaultfd },
                { "execs", execs },
        };

        if (argc != 3) {
                fprintf(stderr, "usage: hostile-ring CASE SOCKET\n");
                return 2;
        }
        path = argv[2];
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
                if (strcmp(argv[1], cases[i].name) == 0) {
                        cases[i].run();
                        return 0;
                }
        fprintf(stderr, "hostile-ring: there is no case %s\n", argv[1]);
        return 2;
}
