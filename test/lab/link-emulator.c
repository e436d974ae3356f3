/* link-emulator: a cable between two network namespaces, with delay, jitter and loss.
 *
 *   link-emulator NAMESPACE_A INTERFACE_A NAMESPACE_B INTERFACE_B
 *
 * Makes a TAP interface in each namespace, writes "ready", and carries frames between them in order. Each line
 * "delayA jitterA lossA delayB jitterB lossB" on standard input (ms, ms, percent; A: frames that come from A) sets
 * its quality and is answered by "set". Ends when its input does, so it never outlives the lab.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define SLOTS 32768 /* frames in flight, each way */
#define SLOT 2048   /* biggest frame */
#define BATCH 64    /* frames between two looks at the other way */
#define LOOK 64     /* busy rounds between two looks at standard input */

struct way {
	int in, out;
	uint64_t delay, jitter, last; /* ns */
	double loss;                  /* 0 to 1 */
	uint32_t head, tail;
	uint64_t due[SLOTS];
	uint16_t length[SLOTS];
	uint8_t *frames;
};
static struct way ways[2];

static uint64_t now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ull + t.tv_nsec;
}

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static int tap(const char *namespace, const char *name)
{
	char path[300];
	snprintf(path, sizeof path, "/run/netns/%s", namespace);
	int entry = open(path, O_RDONLY | O_CLOEXEC);
	if (entry < 0 || setns(entry, CLONE_NEWNET)) die(path);
	close(entry);
	int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0) die("/dev/net/tun");
	struct ifreq request = {0};
	snprintf(request.ifr_name, IFNAMSIZ, "%s", name);
	request.ifr_flags = IFF_TAP | IFF_NO_PI;
	if (ioctl(fd, TUNSETIFF, &request)) die("TUNSETIFF");
	return fd;
}

/* Reads what is there of standard input and obeys each whole line. */
static void listen_to_input(void)
{
	static char line[512];
	static size_t used;
	ssize_t got = read(0, line + used, sizeof line - 1 - used);
	if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
	if (got <= 0) exit(0);
	used += got;
	line[used] = 0;
	for (char *end; (end = strchr(line, '\n')); ) {
		double v[6];
		*end = 0;
		if (sscanf(line, "%lf %lf %lf %lf %lf %lf", v, v + 1, v + 2, v + 3, v + 4, v + 5) != 6) exit(2);
		for (int i = 0; i < 2; i++) {
			ways[i].delay = v[3 * i] * 1e6;
			ways[i].jitter = v[3 * i + 1] * 1e6;
			ways[i].loss = v[3 * i + 2] / 100;
		}
		printf("set\n");
		fflush(stdout);
		used -= end + 1 - line;
		memmove(line, end + 1, used + 1);
	}
	if (used == sizeof line - 1) exit(2);
}

/* Carries what has come and what is due; says whether there was anything, and moves *next to the next due frame. */
static int carry(struct way *w, uint64_t *next)
{
	int busy = 0;
	for (int n = 0; n < BATCH && w->head - w->tail < SLOTS; n++) {
		uint32_t slot = w->head % SLOTS;
		ssize_t length = read(w->in, w->frames + (size_t)slot * SLOT, SLOT);
		if (length <= 0) break;
		busy = 1;
		if (w->loss > 0 && drand48() < w->loss) continue;
		uint64_t t = now() + w->delay + (w->jitter ? (uint64_t)(drand48() * w->jitter) : 0);
		if (t < w->last) t = w->last;
		w->last = w->due[slot] = t;
		w->length[slot] = length;
		w->head++;
	}
	uint64_t t = now();
	for (int n = 0; n < 2 * BATCH && w->tail != w->head && w->due[w->tail % SLOTS] <= t; n++) {
		uint32_t slot = w->tail++ % SLOTS;
		busy = 1;
		if (write(w->out, w->frames + (size_t)slot * SLOT, w->length[slot]) < 0 && errno == EBADFD) exit(0);
	}
	if (w->tail != w->head && w->due[w->tail % SLOTS] < *next) *next = w->due[w->tail % SLOTS];
	return busy;
}

int main(int count, char **arg)
{
	if (count != 5) {
		fprintf(stderr, "usage: link-emulator NAMESPACE_A INTERFACE_A NAMESPACE_B INTERFACE_B\n");
		return 2;
	}
	ways[0].in = ways[1].out = tap(arg[1], arg[2]);
	ways[1].in = ways[0].out = tap(arg[3], arg[4]);
	fcntl(0, F_SETFL, O_NONBLOCK);
	srand48(now());
	for (int i = 0; i < 2; i++) {
		ways[i].frames = mmap(0, (size_t)SLOTS * SLOT, PROT_READ | PROT_WRITE,
				      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		if (ways[i].frames == MAP_FAILED) die("mmap");
	}
	printf("ready\n");
	fflush(stdout);
	for (unsigned round = 0;; round++) {
		uint64_t next = UINT64_MAX;
		int busy = carry(&ways[0], &next) | carry(&ways[1], &next);
		if (busy && round % LOOK) continue;
		struct pollfd ends[3] = { { ways[0].in, POLLIN, 0 }, { ways[1].in, POLLIN, 0 }, { 0, POLLIN, 0 } };
		struct timespec wait = {0, 0}, *until = &wait;
		if (!busy && next != UINT64_MAX) {
			uint64_t t = now(), left = next > t ? next - t : 0;
			wait.tv_sec = left / 1000000000ull;
			wait.tv_nsec = left % 1000000000ull;
		} else if (!busy) {
			until = 0;
		}
		if (ppoll(ends, 3, until, 0) <= 0) continue;
		if (ends[2].revents) listen_to_input();
		if ((ends[0].revents | ends[1].revents) & (POLLERR | POLLNVAL)) {
			char byte;
			if (read(ways[0].in, &byte, 0) < 0 && errno == EBADFD) return 0;
			usleep(20000); /* an end is down, and poll would say so without pause */
		}
	}
}
