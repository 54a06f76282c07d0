// SPDX-License-Identifier: MIT
// Writes to a disk from several threads while its service is ended again and again:
//	disk_load DEVICE SECONDS
//	disk_load DEVICE SERVICE TIMES SEED COMMAND...
// The commands, as /proc/halyard/services takes them without the service's name, take turns.
//
// Each thread has blocks of its own. It writes runs of them, through the page cache and past it,
// remembers what each has to hold, and reads them back, from the cache and from the device. After
// each fsync that succeeds, what was written before is read from the device. At the end all is
// read once more. A byte that is wrong, a call that fails, or a restart that does not come ends the
// program with an error. Commands come at random moments: when threads are in the service or none,
// while it is up or on its way. The median of the restarts' times is told.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <time.h>
#include <unistd.h>

enum { BLOCK = 4096, WORDS = BLOCK / 8, THREADS = 4, BLOCKS = 2048, RUN = 32, TIMES_MAX = 100000 };

static const char *device, *service;
static atomic_bool stop;
static atomic_ulong nwrites, nreads, nsyncs;

__attribute__((format(printf, 1, 2), noreturn)) static void fail(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	fprintf(stderr, "disk_load: ");
	vfprintf(stderr, fmt, args);
	fprintf(stderr, "\n");
	va_end(args);
	_exit(1);
}

static uint64_t mix(uint64_t x)
{
	x ^= x >> 31, x *= 0x7fb5d329728ea185, x ^= x >> 27, x *= 0x81dadef4bc2dd44d, x ^= x >> 33;
	return x;
}

struct writer {
	pthread_t thread;
	unsigned number;
	uint64_t random;
	int cached, direct;	  // descriptors
	uint32_t version[BLOCKS]; // what each block holds now; 0: never written
	uint64_t *buf;		  // RUN blocks
};
static struct writer writers[THREADS];

static uint64_t random_below(struct writer *w, uint64_t n)
{
	w->random = mix(w->random + 0x9e3779b97f4a7c15);
	return w->random % n;
}

// A block's contents tell which block it is, and which version of it.
static void block_fill(uint64_t *p, uint64_t block, uint32_t version)
{
	uint64_t seed = block << 32 | version;

	for (unsigned i = 0; i < WORDS; i++)
		p[i] = (seed * (2 * i + 1)) ^ ((seed >> 7) + i);
	p[0] = seed;
}

static void block_check(const uint64_t *p, uint64_t block, uint32_t version, const char *where)
{
	static _Thread_local uint64_t want[WORDS];

	block_fill(want, block, version);
	for (unsigned i = 0; i < WORDS; i++)
		if (p[i] != want[i])
			fail("block %llu version %u: word %u is %016llx instead of %016llx; the first word is %016llx (%s)",
			     (unsigned long long)block, version, i, (unsigned long long)p[i],
			     (unsigned long long)want[i], (unsigned long long)p[0], where);
}

static off_t position(const struct writer *w, unsigned block)
{
	return ((off_t)w->number * BLOCKS + block) * BLOCK;
}

static void write_run(struct writer *w, bool direct)
{
	unsigned n = 1 + (unsigned)random_below(w, RUN),
		 first = (unsigned)random_below(w, BLOCKS - n);

	for (unsigned i = 0; i < n; i++)
		block_fill(w->buf + i * WORDS, w->number * BLOCKS + first + i,
			   w->version[first + i] + 1);
	ssize_t done =
		pwrite(direct ? w->direct : w->cached, w->buf, n * BLOCK, position(w, first));

	if (done != n * BLOCK)
		fail("write%s: %zd, %s", direct ? " (direct)" : "", done, strerror(errno));
	for (unsigned i = 0; i < n; i++)
		w->version[first + i]++;
	nwrites++;
}

static void read_run(struct writer *w, bool direct, unsigned first, unsigned n)
{
	ssize_t done = pread(direct ? w->direct : w->cached, w->buf, n * BLOCK, position(w, first));

	if (done != n * BLOCK)
		fail("read%s: %zd, %s", direct ? " (direct)" : "", done, strerror(errno));
	for (unsigned i = 0; i < n; i++)
		if (w->version[first + i])
			block_check(w->buf + i * WORDS, w->number * BLOCKS + first + i,
				    w->version[first + i], direct ? "direct" : "cached");
	nreads++;
}

static void read_any(struct writer *w, bool direct)
{
	unsigned n = 1 + (unsigned)random_below(w, RUN);

	read_run(w, direct, (unsigned)random_below(w, BLOCKS - n), n);
}

static void sync_all(struct writer *w)
{
	if (fsync(w->cached))
		fail("fsync: %s", strerror(errno));
	nsyncs++;
}

static void *writer_run(void *arg)
{
	struct writer *w = arg;

	while (!stop) {
		unsigned what = (unsigned)random_below(w, 16);

		if (what < 8)
			write_run(w, what < 3);
		else if (what < 14)
			read_any(w, what < 11);
		else
			sync_all(w);
	}
	sync_all(w);
	return NULL;
}

// ---- the service ----

struct row {
	char class[16], state[16];
	unsigned long faults, restarts, restart_us, handles, memory_kb;
};

// The service's line in /proc/halyard/services, by the headings of its columns.
static struct row row_read(void)
{
	static const char *const names[] = {"class",	  "state",   "faults",	 "restarts",
					    "restart_us", "handles", "memory_kb"};
	char headings[512], line[512], *value[7] = {}, *save_h, *save_v;
	FILE *f = fopen("/proc/halyard/services", "r");
	struct row row = {};

	if (!f || !fgets(headings, sizeof(headings), f))
		fail("/proc/halyard/services cannot be read");
	do
		if (!fgets(line, sizeof(line), f))
			fail("there is no service %s", service);
	while (strncmp(line, service, strlen(service)) || line[strlen(service)] != ' ');
	fclose(f);
	char *h = strtok_r(headings, " \n", &save_h), *v = strtok_r(line, " \n", &save_v);

	for (; h && v; h = strtok_r(NULL, " \n", &save_h), v = strtok_r(NULL, " \n", &save_v))
		for (unsigned i = 0; i < 7; i++)
			if (!strcmp(h, names[i]))
				value[i] = v;
	for (unsigned i = 0; i < 7; i++)
		if (!value[i])
			fail("/proc/halyard/services has no column %s", names[i]);
	snprintf(row.class, sizeof(row.class), "%s", value[0]);
	snprintf(row.state, sizeof(row.state), "%s", value[1]);
	row.faults = strtoul(value[2], NULL, 10);
	row.restarts = strtoul(value[3], NULL, 10);
	row.restart_us = strtoul(value[4], NULL, 10);
	row.handles = strtoul(value[5], NULL, 10);
	row.memory_kb = strtoul(value[6], NULL, 10);
	return row;
}

// "poke TARGET" is answered with EIO, when it ended the service; EBUSY: it is dead just now.
static bool command(const char *verb)
{
	char text[64];
	const char *rest = strchr(verb, ' ');
	int fd = open("/proc/halyard/services", O_WRONLY), n;

	n = snprintf(text, sizeof(text), "%.*s %s%s\n",
		     (int)(rest ? rest - verb : (long)strlen(verb)), verb, service,
		     rest ? rest : "");
	errno = 0;
	bool done = fd >= 0 && write(fd, text, (size_t)n) == n;

	if (!done && errno != EBUSY && !(rest && errno == EIO))
		fail("%s: %s", verb, strerror(errno));
	close(fd);
	return errno != EBUSY;
}

static struct row wait_running(unsigned long restarts)
{
	for (int i = 0; i < 30000; i++) {
		struct row r = row_read();

		if (r.restarts >= restarts && !strcmp(r.state, "running"))
			return r;
		if (!strcmp(r.state, "failed"))
			fail("the service was given up");
		usleep(1000);
	}
	fail("the service did not come back");
}

static int compare(const void *a, const void *b)
{
	unsigned long x = *(const unsigned long *)a, y = *(const unsigned long *)b;
	return x < y ? -1 : x > y;
}

static void command_often(unsigned times, uint64_t seed, char **verbs, unsigned nverbs)
{
	static unsigned long us[TIMES_MAX];
	unsigned n = 0;

	for (unsigned i = 0; i < times; i++) {
		struct row before = row_read(), after;
		const char *verb = verbs[i % nverbs];
		bool kills = !strcmp(verb, "kill") || !strncmp(verb, "poke", 4);

		seed = mix(seed + i);
		usleep((useconds_t)(seed % 20000));
		unsigned long ended = command(verb) && kills;

		if (seed >> 61 == 0) { // and once more, wherever it is by now
			usleep((useconds_t)(seed >> 20) % 8000);
			ended += command(verb) && kills;
		}
		after = wait_running(before.restarts + ended);
		if (ended)
			us[n++] = after.restart_us;
		else if (!kills && strcmp(after.class, verb) != 0)
			fail("it is %s and not %s", after.class, verb);
		if (i % 50 == 49)
			printf("%u times, %lu writes, %lu reads, %lu fsyncs\n", i + 1, nwrites,
			       nreads, nsyncs);
		fflush(stdout);
	}
	if (!n)
		return;
	qsort(us, n, sizeof(us[0]), compare);
	printf("restart_us median %lu, 95%% %lu, longest %lu\n", us[n / 2], us[n * 95 / 100],
	       us[n - 1]);
}

int main(int argc, char **argv)
{
	if (argc != 3 && argc < 6)
		fail("arguments: DEVICE SECONDS, or DEVICE SERVICE TIMES SEED COMMAND...");
	device = argv[1];
	service = argv[2];
	unsigned times = argc > 3 ? (unsigned)strtoul(argv[3], NULL, 0) : 0;
	uint64_t seed = argc > 4 ? strtoull(argv[4], NULL, 0) : 1;

	if (times > TIMES_MAX)
		fail("%u times are too many", times);
	for (unsigned i = 0; i < THREADS; i++) {
		struct writer *w = &writers[i];

		w->number = i;
		w->random = seed * 1000 + i;
		w->cached = open(device, O_RDWR);
		w->direct = open(device, O_RDWR | O_DIRECT);
		w->buf = aligned_alloc(BLOCK, RUN * BLOCK);
		if (w->cached < 0 || w->direct < 0)
			fail("%s: %s", device, strerror(errno));
		if ((errno = pthread_create(&w->thread, NULL, writer_run, w)))
			fail("pthread_create: %s", strerror(errno));
	}
	if (argc > 3)
		command_often(times, seed, argv + 5, (unsigned)argc - 5);
	else
		sleep((unsigned)strtoul(argv[2], NULL, 0));
	stop = true;
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(writers[i].thread, NULL);
	if (ioctl(writers[0].cached, BLKFLSBUF)) // so that the next reads are the device's
		fail("BLKFLSBUF: %s", strerror(errno));
	for (unsigned i = 0; i < THREADS; i++)
		for (unsigned b = 0; b < BLOCKS; b += RUN)
			read_run(&writers[i], b % (2 * RUN), b, RUN);
	printf("%lu writes, %lu reads, %lu fsyncs: every byte is right\n", nwrites, nreads, nsyncs);
	return 0;
}
