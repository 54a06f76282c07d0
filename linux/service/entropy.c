// SPDX-License-Identifier: MIT
// entropy.c: sources of random numbers: provider of abi/gate/entropy.h, what becomes of their bytes
// in core's pool, and /dev/hwrng. Privileged.
//
// Purpose. A source is asked for bytes and answers now or later; there is one question and one
// answer of each source at a time. Each byte goes to one reader: to the pool, or to who reads
// /dev/hwrng. So nobody outside knows what the pool was given.
//
// Policy. What comes from a source is mixed in always: it can do no harm. It counts one bit a byte,
// an eighth of what a good source gives, for nobody here can tell how good this one is. It counts
// nothing when the bytes repeat (a device that is stuck, a driver that hands on an empty buffer).
// And all sources together count half of what the pool needs at most, so that none makes it ready
// by itself: a driver is not trusted, and knows the bytes it brings; the other half comes from the
// CPU or from interrupts. (The host behind a virtual device can read this machine's memory anyway;
// distrusting it would protect nothing.)
//
// Locks. sources_lock (LOCK_entropy_sources, a mutex): the list, and registering. source.lock
// (LOCK_entropy, a mutex): its port, held around calls into the service. source.answer_lock (a
// spinlock): question and answer; the service answers under its own locks, so it takes no other.
//
// Lifetime. Sources live for ever, and are found again by service and name. A question that was
// open when the service died is asked again.
//
// Failure. Without a source reads return -ENODEV; while the service restarts they wait.
#include "base/fmt.h"
#include "base/string.h"
#include "core/gate.h"
#include "core/init.h"
#include "core/log.h"
#include "core/slab.h"
#include "core/time.h"
#include "core/wait.h"
#include "linux/file.h"
#include "linux/random.h"
#include "linux/service.h"
#include "linux/service/entropy_priv.h"
#include "linux/signal.h"
#include <gate/calls.h>
#include <gate/interfaces.h>

constexpr u32 SOURCES_MAX = 8, MISC_MAJOR = 10, HWRNG_MINOR = 183;
constexpr u64 PERIOD_READY_NS = 60'000'000'000; // between questions for the pool
constexpr u64 PERIOD_NEED_NS = 100'000'000;	// until it is ready
constexpr u64 ANSWER_NS = 1'000'000'000;	// that the pool waits for an answer
constexpr u64 BUSY_NS = 10'000'000;		// before a busy source is asked again

struct source {
	char name[24];	       // immutable
	struct gate_port port; // lock
	mutex_t lock;
	bool bound; // the service is there; lock, read racily
	bool gone;  // and will not come back by itself; likewise
	u32 life;   // counts registrations; sources_lock, and answer_lock for changes
	spinlock_t answer_lock;
	u32 asked; // bytes, of the open question; 0: none. answer_lock
	u32 have;  // bytes of the answer that are left, at its end; answer_lock, read racily
	u32 len;   // of the answer; answer_lock
	u8 answer[ENTROPY_BYTES_MAX];
	struct entropy_account account; // the pool's thread only
	struct wait_queue wait;		// for an answer, and for what becomes of the service
};
struct source_object {
	struct gate_object object; // first
	struct source *source;	   // immutable
	u32 life;		   // immutable
};

static mutex_t sources_lock = MUTEX_INIT(sources_lock, LOCK_entropy_sources);
static struct source *sources[SOURCES_MAX]; // grows at its end; sources_lock for changes
static u32 nsources;			    // atomic
static struct wait_queue pool_wait = WAIT_QUEUE_INIT(pool_wait);
static u32 pool_given;	 // bits that all sources counted; the pool's thread only
static bool pool_kicked; // atomic: there is a new source

// The one that /dev/hwrng reads; nullptr: none.
static struct source *source_current(void)
{
	for (u32 i = 0; i < load_acquire(&nsources); i++)
		if (!load_once(&sources[i]->gone))
			return sources[i];
	return nullptr;
}

const char *hwrng_name(u32 index)
{
	for (u32 i = 0; i < load_acquire(&nsources); i++)
		if (!load_once(&sources[i]->gone) && !index--)
			return sources[i]->name;
	return nullptr;
}

// ---- question and answer ----

static u32 answer_take(struct source *s, u8 *to, u32 cap)
{
	spin_lock(&s->answer_lock);
	u32 n = min(s->have, cap);
	u8 *from = s->answer + s->len - s->have;

	memcpy(to, from, n);
	memzero_explicit(from, n);
	s->have -= n;
	spin_unlock(&s->answer_lock);
	return n;
}

static bool question_begin(struct source *s)
{
	spin_lock(&s->answer_lock);
	bool begins = !s->asked && !s->have;

	if (begins)
		s->asked = ENTROPY_BYTES_MAX;
	spin_unlock(&s->answer_lock);
	return begins;
}

static void question_end(struct source *s)
{
	spin_lock(&s->answer_lock);
	s->asked = 0;
	spin_unlock(&s->answer_lock);
}

// Asks, unless that was done. False: nobody can answer now.
static bool ask(struct source *s)
{
	mutex_lock(&s->lock);
	if (s->bound && question_begin(s)) {
		int r = entropy_gate_request(&s->port, ENTROPY_BYTES_MAX);

		if (r)
			question_end(s);
		if (r && r != -EAGAIN) { // nothing happens if it died already
			gate_port_fault(&s->port, "a source of random numbers refuses a question");
			store_once(&s->bound, false);
		}
	}
	bool asked = s->bound && load_once(&s->asked);

	mutex_unlock(&s->lock);
	return asked;
}

int gate_entropy_add(u64 source, const void *bytes, u64 len)
{
	struct gate_object *o = handle_get(source, HANDLE_ENTROPY);
	int r = -EINVAL;

	if (!o)
		return -EBADF;
	struct source_object *so = container_of(o, struct source_object, object);
	struct source *s = so->source;

	spin_lock(&s->answer_lock);
	if (s->life == so->life && len && len <= s->asked) {
		memcpy(s->answer, bytes, len);
		s->len = (u32)len;
		store_once(&s->have, (u32)len);
		s->asked = 0;
		r = 0;
	}
	spin_unlock(&s->answer_lock);
	if (!r)
		wait_queue_wake_sync(&s->wait, ~0u, 0); // the driver has nothing more to do
	gate_object_put(o);
	return r;
}

// ---- the pool ----

u32 entropy_credit(struct entropy_account *a, const u8 *bytes, u32 n)
{
	bool repeats = !memcmp(bytes, a->last, n);

	for (u32 i = 8; i + 8 <= n; i += 8)
		repeats |= !memcmp(bytes + i, bytes + i - 8, 8);
	memcpy(a->last, bytes, n);
	u32 bits = repeats ? 0 : min(n, CREDIT_MAX - *a->given);

	*a->given += bits;
	return bits;
}

static void pool_feed(struct source *s)
{
	u8 bytes[POOL_BYTES];

	if (load_once(&s->gone))
		return;
	if (!load_once(&s->have) && ask(s))
		(void)wait_event_until(&s->wait, load_once(&s->have) || !load_once(&s->bound),
				       clock_monotonic_ns() + ANSWER_NS);
	u32 n = answer_take(s, bytes, sizeof(bytes));

	if (n)
		random_add(bytes, n, entropy_credit(&s->account, bytes, n));
	memzero_explicit(bytes, sizeof(bytes));
}

static void pool_main(void *unused)
{
	(void)unused;
	for (;;) {
		u64 period = random_ready() ? PERIOD_READY_NS : PERIOD_NEED_NS;

		(void)wait_event_until(&pool_wait, load_once(&pool_kicked),
				       clock_monotonic_ns() + period);
		store_once(&pool_kicked, false);
		for (u32 i = 0; i < load_acquire(&nsources); i++)
			pool_feed(sources[i]);
	}
}

// ---- /dev/hwrng ----

static int hwrng_open(struct inode *inode, struct file *f)
{
	(void)inode;
	if ((f->mode & (FILE_READ | FILE_WRITE)) != FILE_READ)
		return -EINVAL;
	f->mode |= FILE_STREAM;
	return 0;
}

// Some bytes, or why there are none.
static ssize_t hwrng_some(struct source *s, u8 *bytes, u32 cap, bool nonblock)
{
	for (;;) {
		u32 n = answer_take(s, bytes, cap);

		if (n)
			return n;
		bool asked = ask(s), bound = load_once(&s->bound);

		if (load_once(&s->have))
			continue;
		if (load_once(&s->gone))
			return -ENODEV;
		if (nonblock)
			return -EAGAIN;
		// for the answer, or the service's return; a busy one is asked again
		int r = wait_event_interruptible_until(
			&s->wait,
			load_once(&s->have) || load_once(&s->gone) ||
				(asked && !load_once(&s->asked)) || load_once(&s->bound) != bound,
			bound && !asked ? clock_monotonic_ns() + BUSY_NS : ~0ull);
		if (r && r != -ETIMEDOUT)
			return r;
	}
}

static ssize_t hwrng_read(struct file *f, struct io *io)
{
	u8 bytes[128];
	size_t done = 0;
	ssize_t n = 0;

	(void)f;
	while (io->left) {
		struct source *s = source_current();

		n = s ? hwrng_some(s, bytes, (u32)min(io->left, sizeof(bytes)),
				   io->flags & IO_NONBLOCK)
		      : -ENODEV;
		if (n <= 0)
			break;
		size_t moved = io_copy_to(io, bytes, (size_t)n);

		done += moved;
		if (moved < (size_t)n) {
			n = -EFAULT;
			break;
		}
		if (signal_pending()) {
			n = -ERESTARTSYS;
			break;
		}
	}
	memzero_explicit(bytes, sizeof(bytes));
	return done ? (ssize_t)done : n;
}

static const struct file_ops hwrng_ops = {.open = hwrng_open, .read = hwrng_read};

// ---- registrations ----

static void source_detach(struct gate_object *o)
{
	struct source_object *so = container_of(o, struct source_object, object);
	struct source *s = so->source;

	mutex_lock(&sources_lock);
	mutex_lock(&s->lock);
	if (s->life == so->life) {
		gate_port_unbind(&s->port);
		store_once(&s->bound, false);
		question_end(s);
	}
	mutex_unlock(&s->lock);
	mutex_unlock(&sources_lock);
	wake_all(&s->wait);
}

static const struct gate_object_ops source_ops = {.detach = source_detach,
						  .release = gate_object_free};

static void service_gone(struct service *service)
{
	mutex_lock(&sources_lock);
	for (u32 i = 0; i < nsources; i++) {
		struct source *s = sources[i];

		if (s->port.service != service)
			continue;
		mutex_lock(&s->lock);
		store_once(&s->gone, !s->bound);
		mutex_unlock(&s->lock);
		wake_all(&s->wait);
	}
	mutex_unlock(&sources_lock);
}
static struct service_watcher watcher = {.gone = service_gone};

static struct source *source_make(const char *name)
{
	struct source *s = nsources < SOURCES_MAX ? kzalloc(sizeof(*s)) : nullptr;

	if (!s)
		return nullptr;
	if (!nsources) {
		struct thread *pool = kthread_create(pool_main, nullptr, "hwrng");

		if (!pool) {
			kfree(s);
			return nullptr;
		}
		thread_start(pool);
	}
	strscpy(s->name, name, sizeof(s->name));
	s->account.given = &pool_given;
	s->gone = true; // until it is bound
	mutex_init(&s->lock, LOCK_entropy);
	spin_lock_init(&s->answer_lock, LOCK_entropy_answer);
	wait_queue_init(&s->wait);
	sources[nsources] = s;
	store_release(&nsources, nsources + 1);
	return s;
}

static struct source *source_find(const char *name)
{
	for (u32 i = 0; i < nsources; i++)
		if (!strcmp(sources[i]->name, name))
			return sources[i];
	return source_make(name);
}

static s64 source_bind(struct source *s, struct service *service, struct source_object *so,
		       u64 cookie, const struct entropy_ops *ops)
{
	so->source = s;
	spin_lock(&s->answer_lock);
	so->life = ++s->life;
	s->asked = 0;
	spin_unlock(&s->answer_lock);
	s64 handle = handle_publish(service, &so->object);

	if (handle < 0)
		return handle;
	mutex_lock(&s->lock);
	int err = gate_port_bind(&s->port, service, &gate_entropy_interface, cookie, ops);

	if (!err) {
		store_once(&s->bound, true);
		store_once(&s->gone, false);
	}
	mutex_unlock(&s->lock);
	return err ?: handle;
}

s64 gate_entropy_register(u64 self, const struct entropy_params *params,
			  const struct entropy_ops *ops)
{
	struct service *service = service_of_handle(self);
	s64 r;

	if (!service)
		return -EBADF;
	if (!params->name[0] || !memchr(params->name, 0, sizeof(params->name)))
		return -EINVAL;
	struct source_object *so = kzalloc(sizeof(*so));

	if (!so)
		return -ENOMEM;
	gate_object_init(&so->object, HANDLE_ENTROPY, &source_ops);
	mutex_lock(&sources_lock);
	struct source *s = source_find(params->name);

	if (!s)
		r = -ENOMEM;
	else if (s->bound || (s->port.service && s->port.service != service))
		r = -EBUSY;
	else
		r = source_bind(s, service, so, params->cookie, ops);
	mutex_unlock(&sources_lock);
	if (r < 0) {
		handle_close_object(&so->object);
	} else {
		wake_all(&s->wait);
		store_once(&pool_kicked, true);
		wake_all(&pool_wait);
	}
	gate_object_put(&so->object);
	return r;
}

static void entropy_start(void)
{
	int r = dev_register_char(MISC_MAJOR, HWRNG_MINOR, "hwrng", 0600, &hwrng_ops);

	if (r)
		log_err("no /dev/hwrng: error %d", -r);
	service_watch(&watcher);
}
INITCALL(3, entropy_start);
