// SPDX-License-Identifier: MIT
// disk.c: disks: provider of abi/gate/block.h. Requests go from here to the services that drive
// disks, and come back. Privileged.
//
// Purpose. A disk has queues, one for each CPU if the device has as many. A request is put on the
// queue of the CPU that it is made on, described in a free slot of that queue (memory that the
// service reads and core alone writes), and announced by a call into the service (submit). The
// service completes it by a call into core, mostly while it is called to poll after an interrupt.
//
// Who polls. The interrupt only notes that it came (`fired`). Then a thread that waits for a
// request of its own on that queue goes into the service and completes whatever is finished, its
// own and others', on its own time; it would have been woken next anyway. When nobody waits, the
// queue's thread does it.
//
// States. A disk is READY; or WAITING, between two lives of its service; or GONE, when that will
// not come back. When the service dies, what was in flight goes back to the front of `pending` in
// the order in which it came, and is submitted to the next life, which has reset the device before
// (gate_block_register insists on it). Nothing above notices. A request that was in flight at too
// many deaths fails: it may be their cause.
//
// Locks. queue.lock (a mutex) is held while a thread is in the service for that queue: so of each
// queue one call at a time. queue.slots_lock (a spinlock) guards lists, slots and what is in
// flight. disks_lock: the list of disks, their states. A request's `complete` is set, and its
// waiter woken, under slots_lock, which the waiter takes before it goes.
//
// Lifetime. Disks live for ever. Failure: a request ends with -EIO, or what the service said.
#include "base/fmt.h"
#include "base/string.h"
#include "core/init.h"
#include "core/log.h"
#include "core/time.h"
#include "linux/block/block_priv.h"
#include <gate/calls.h>
#include <gate/interfaces.h>

constexpr u32 TRIES_MAX = 20;		   // deaths of the service that a request survives
constexpr u64 TIMEOUT_NS = 30'000'000'000; // of a request in the service
constexpr u32 IDLE_POLLS_MAX = 100'000;	   // interrupts in a row with nothing finished

static struct list disks = LIST_INIT(disks);
static mutex_t disks_lock = MUTEX_INIT(disks_lock, LOCK_disks);

struct disk *disk_next(struct disk *after)
{
	struct list *next = after ? load_acquire(&after->link.next) : load_acquire(&disks.next);

	return next == &disks ? nullptr : list_entry(next, struct disk, link);
}

const struct block_limits *disk_limits(const struct disk *d)
{
	return &d->limits;
}

const char *disk_name(const struct disk *d)
{
	return d->name;
}

void disk_serial(struct disk *d, char out[DISK_SERIAL])
{
	spin_lock(&d->serial_lock);
	strscpy(out, d->serial, DISK_SERIAL);
	spin_unlock(&d->serial_lock);
}

// What of text is printable, to its first zero.
static void serial_set(struct disk *d, const char *text, size_t len)
{
	u32 n = 0;

	spin_lock(&d->serial_lock);
	for (size_t i = 0; i < len && text[i] && n < DISK_SERIAL - 1; i++)
		if (text[i] >= ' ' && text[i] <= '~')
			d->serial[n++] = text[i];
	d->serial[n] = 0;
	spin_unlock(&d->serial_lock);
}

// ---- ends of requests ----

// The account of the partition that a request is for, if it is for one.
static struct io_account *partition_account(const struct block_request *r)
{
	return r->bdev && r->bdev->partition ? &r->bdev->account : nullptr;
}

static void request_finish(struct disk_queue *q, struct block_request *r, int status)
{
	u64 now = clock_monotonic_ns();

	account_end(&q->disk->account, r, now);
	if (partition_account(r))
		account_end(partition_account(r), r, now);
	if (r->op != BLOCK_READ && r->op != BLOCK_FLUSH)
		bdevs_note_change(r);
	r->status = status;
	if (r->done) {
		r->done(r);
		return;
	}
	spin_lock(&q->slots_lock);
	store_release(&r->complete, true);
	thread_wake(r->waiter);
	spin_unlock(&q->slots_lock);
}

// Everything that waits ends with an error.
static void pending_fail(struct disk_queue *q, int status)
{
	for (;;) {
		struct block_request *r = nullptr;

		spin_lock(&q->slots_lock);
		if (!list_empty(&q->pending)) {
			r = list_first_entry(&q->pending, struct block_request, link);
			list_del(&r->link);
		}
		spin_unlock(&q->slots_lock);
		if (!r)
			return;
		request_finish(q, r, status);
	}
}

// ---- into the service; queue's lock held ----

static s32 tag_take_locked(struct disk_queue *q)
{
	for (u32 w = 0; w < ARRAY_SIZE(q->free); w++) {
		if (!q->free[w])
			continue;
		u32 bit = (u32)__builtin_ctzll(q->free[w]);

		q->free[w] &= q->free[w] - 1;
		return (s32)(w * 64 + bit);
	}
	return -1;
}

static void slot_fill(struct block_slot *slot, const struct block_request *r)
{
	slot->op = r->op;
	slot->nsegments = (u8)r->nvec;
	slot->nsectors = r->nsectors;
	slot->sector = r->sector;
	for (u32 i = 0; i < r->nvec; i++)
		slot->segment[i] = (struct block_segment){.bus_address = r->vec[i].at.addr,
							  .len = r->vec[i].len};
}

// Gives waiting requests slots. How many.
static u32 slots_fill(struct disk_queue *q)
{
	u32 n = 0;

	spin_lock(&q->slots_lock);
	while (!list_empty(&q->pending)) {
		s32 tag = tag_take_locked(q);

		if (tag < 0)
			break;
		struct block_request *r = list_first_entry(&q->pending, struct block_request, link);

		list_del(&r->link);
		r->tag = (u16)tag;
		r->started_ns = clock_monotonic_ns();
		slot_fill(&q->slots[tag], r);
		q->order[q->tail++ & (q->disk->depth - 1)] = (u16)tag;
		q->in_flight[tag] = r;
		q->nin_flight++;
		n++;
	}
	spin_unlock(&q->slots_lock);
	return n;
}

static void queue_feed(struct disk_queue *q)
{
	while (q->bound && slots_fill(q)) {
		int r = block_gate_submit(&q->disk->port, q->index, q->tail);

		if (gate_failed(r))
			return; // its end puts them back
		if (r < 0) {
			gate_port_fault(&q->disk->port, "a submission to a disk failed");
			return;
		}
	}
}

static void queue_run(struct disk_queue *q)
{
	mutex_lock(&q->lock);
	queue_feed(q);
	mutex_unlock(&q->lock);
}

static void queue_poll(struct disk_queue *q)
{
	mutex_lock(&q->lock);
	if (q->bound) {
		(void)block_gate_poll(&q->disk->port, q->index);
		queue_feed(q);
	}
	mutex_unlock(&q->lock);
}

// ---- submitting ----

void disk_submit(struct disk *d, struct block_request *r)
{
	struct disk_queue *q = &d->queues[this_cpu_id() % d->nqueues];
	bool gone;

	r->disk = d;
	r->queue = (u16)q->index;
	r->tries = 0;
	r->complete = false;
	r->started_ns = clock_monotonic_ns();
	account_begin(&d->account, r->started_ns);
	if (partition_account(r))
		account_begin(partition_account(r), r->started_ns);
	spin_lock(&q->slots_lock);
	gone = load_once(&d->state) == DISK_GONE;
	if (!gone) {
		r->order = q->next_order++;
		list_add_tail(&q->pending, &r->link);
	}
	spin_unlock(&q->slots_lock);
	if (gone)
		request_finish(q, r, -EIO);
	else
		queue_run(q);
}

int disk_execute(struct disk *d, struct block_request *r)
{
	r->done = nullptr;
	r->waiter = current();
	disk_submit(d, r);
	struct disk_queue *q = &d->queues[r->queue];

	while (!load_acquire(&r->complete)) {
		wait_event_exclusive(&q->pollers,
				     load_acquire(&r->complete) || load_once(&q->fired));
		if (!load_acquire(&r->complete) && xchg(&q->fired, 0u))
			queue_poll(q);
	}
	// whoever completed it is still looking at r until it gives this up
	spin_lock(&q->slots_lock);
	spin_unlock(&q->slots_lock);
	if (load_once(&q->fired)) // meant for us, and we leave
		disk_interrupt(d, q->index);
	return r->status;
}

int disk_flush(struct disk *d)
{
	struct block_request r = {.op = BLOCK_FLUSH};

	return d->limits.flags & BLOCK_HAS_FLUSH ? disk_execute(d, &r) : 0;
}

// ---- polling ----

void disk_interrupt(struct disk *d, u32 queue)
{
	struct disk_queue *q = &d->queues[queue];

	store_once(&q->fired, 1u);
	smp_mb();
	if (wait_queue_active(&q->pollers))
		wake_one(&q->pollers);
	else
		wake_all(&q->idle);
}

// The oldest request that is in the service: since when; ~0: there is none.
static u64 oldest_ns(struct disk_queue *q)
{
	u64 oldest = ~0ull;

	spin_lock(&q->slots_lock);
	for (u32 i = 0; q->nin_flight && i < q->disk->depth; i++)
		if (q->in_flight[i])
			oldest = min(oldest, q->in_flight[i]->started_ns);
	spin_unlock(&q->slots_lock);
	return oldest;
}

static u64 transfers(const struct disk *d)
{
	return atomic_load(&d->account.count[ACCOUNT_READ]) +
	       atomic_load(&d->account.count[ACCOUNT_WRITE]);
}

// The queue's thread: polls when nobody else does, feeds the queue when the service came back, and
// finds requests that never end.
static void queue_thread(void *arg)
{
	struct disk_queue *q = arg;
	constexpr u64 LOOK_NS = 1'000'000'000;
	u32 idle = 0;

	for (;;) {
		u64 now = clock_monotonic_ns();

		(void)wait_event_until(&q->idle,
				       load_once(&q->fired) && !wait_queue_active(&q->pollers),
				       load_once(&q->nin_flight) ? now + LOOK_NS : ~0ull);
		u64 before = transfers(q->disk);

		if (!xchg(&q->fired, 0u)) {
			now = clock_monotonic_ns();
			if (load_once(&q->bound) && oldest_ns(q) < now - min(now, TIMEOUT_NS))
				gate_port_fault(&q->disk->port,
						"a request was not completed in 30 s");
			continue;
		}
		queue_poll(q);
		idle = transfers(q->disk) == before ? idle + 1 : 0;
		if (idle > IDLE_POLLS_MAX) {
			gate_port_fault(&q->disk->port, "interrupts without end");
			idle = 0;
		}
	}
}

// ---- registrations ----

struct disk_object {
	struct gate_object object; // first
	struct disk *disk;
	u32 life;
	bool ready; // atomic
	mutex_t grants_lock;
	struct gate_grant *grants; // [nqueues * depth], made by the first gate_block_map
};

static struct disk_object *object_of(struct gate_object *o)
{
	return container_of(o, struct disk_object, object);
}

static void put_back_sorted(struct disk_queue *q, struct block_request *r)
{
	struct block_request *other;

	list_for_each_entry(other, &q->pending, link) {
		if (other->order > r->order) {
			list_add_tail(&other->link, &r->link); // before it
			return;
		}
	}
	list_add_tail(&q->pending, &r->link);
}

// The slots are no more: what was in them waits again, but what has waited too often.
static void queue_take_back(struct disk_queue *q)
{
	struct list failed = LIST_INIT(failed);
	struct block_request *r, *next;

	spin_lock(&q->slots_lock);
	for (u32 i = 0; i < q->disk->depth; i++) {
		r = q->in_flight[i];
		if (!r)
			continue;
		q->in_flight[i] = nullptr;
		if (++r->tries > TRIES_MAX)
			list_add_tail(&failed, &r->link);
		else
			put_back_sorted(q, r);
	}
	q->nin_flight = 0;
	q->slots = nullptr;
	memset(q->free, 0, sizeof(q->free));
	spin_unlock(&q->slots_lock);
	list_for_each_entry_safe(r, next, &failed, link) {
		log_err("%s: a request failed: its service died %u times over it", q->disk->name,
			TRIES_MAX);
		request_finish(q, r, -EIO);
	}
}

static void disk_unbind(struct disk *d)
{
	for (u32 i = 0; i < d->nqueues; i++) {
		mutex_lock(&d->queues[i].lock);
		d->queues[i].bound = false;
		mutex_unlock(&d->queues[i].lock);
	}
	gate_port_unbind(&d->port);
	for (u32 i = 0; i < d->nqueues; i++)
		queue_take_back(&d->queues[i]);
}

static void disk_detach(struct gate_object *o)
{
	struct disk *d = object_of(o)->disk;

	mutex_lock(&disks_lock);
	store_once(&object_of(o)->ready, true); // it cannot be said any more
	if (d->lives == object_of(o)->life) {
		store_once(&d->state, DISK_WAITING);
		disk_unbind(d);
	}
	mutex_unlock(&disks_lock);
}

static void disk_release(struct gate_object *o)
{
	struct disk_object *b = object_of(o);

	for (u32 i = 0; b->grants && i < b->disk->nqueues * b->disk->depth; i++)
		gate_grant_end(&b->grants[i]);
	kfree(b->grants);
	gate_object_free(o);
}

static void disk_object_interrupt(struct gate_object *o, u64 cookie)
{
	struct disk *d = object_of(o)->disk;

	if (cookie < d->nqueues)
		disk_interrupt(d, (u32)cookie);
}

static const struct gate_object_ops disk_ops = {
	.detach = disk_detach, .release = disk_release, .interrupt = disk_object_interrupt};

// Its service will not come back by itself: nobody is to wait for it.
static void service_gone(struct service *s)
{
	mutex_lock(&disks_lock);
	for (struct disk *d = disk_next(nullptr); d; d = disk_next(d)) {
		if (d->service != s || d->state != DISK_WAITING)
			continue;
		for (u32 i = 0; i < d->nqueues; i++) {
			spin_lock(&d->queues[i].slots_lock); // who submits looks at it under this
			store_once(&d->state, DISK_GONE);
			spin_unlock(&d->queues[i].slots_lock);
			pending_fail(&d->queues[i], -EIO);
		}
	}
	mutex_unlock(&disks_lock);
}
static struct service_watcher watcher = {.gone = service_gone};

static bool params_good(const struct block_params *p)
{
	return p->prefix[0] && memchr(p->prefix, 0, 4) && memchr(p->serial, 0, sizeof(p->serial)) &&
	       p->logical_block >= 512 && p->logical_block <= 4096 &&
	       is_power_of_two(p->logical_block) && is_power_of_two(p->physical_block) &&
	       p->physical_block >= p->logical_block && p->physical_block <= 1 * MiB && p->queues &&
	       p->queues <= BLOCK_QUEUES_MAX && p->depth <= BLOCK_DEPTH_MAX &&
	       is_power_of_two(p->depth) && p->segments && p->segments <= BLOCK_SEGMENTS &&
	       p->max_sectors >= p->logical_block / BLOCK_SECTOR && p->sectors <= 1ull << 54;
}

static struct disk *disk_find(const struct service *s, u64 identity, const char *prefix)
{
	for (struct disk *d = disk_next(nullptr); d; d = disk_next(d))
		if (d->service == s && d->identity == identity && !strcmp(d->prefix, prefix))
			return d;
	return nullptr;
}

static bool queue_init(struct disk *d, u32 i)
{
	struct disk_queue *q = &d->queues[i];
	char name[16];

	q->disk = d;
	q->index = i;
	mutex_init(&q->lock, LOCK_block_queue);
	spin_lock_init(&q->slots_lock, LOCK_block_slots);
	list_init(&q->pending);
	wait_queue_init(&q->pollers);
	wait_queue_init(&q->idle);
	scnprintf(name, sizeof(name), "%s-%u", d->name, i);
	struct thread *t = kthread_create(queue_thread, q, name);

	if (t)
		thread_start(t);
	return t;
}

static struct disk *disk_create(struct service *s, u64 identity, const struct block_params *p)
{
	struct disk *d = kzalloc(sizeof(*d));
	u32 queues = min(p->queues, smp_ncpus);

	if (!d)
		return nullptr;
	d->queues = kcalloc(queues, sizeof(*d->queues));
	for (struct disk *o = disk_next(nullptr); o; o = disk_next(o))
		if (!strcmp(o->prefix, p->prefix))
			d->index = max(d->index, o->index + 1);
	if (!d->queues || d->index > 25) { // a to z
		kfree(d->queues);
		kfree(d);
		return nullptr;
	}
	strscpy(d->prefix, p->prefix, sizeof(d->prefix));
	scnprintf(d->name, sizeof(d->name), "%s%c", p->prefix, (char)('a' + d->index));
	d->identity = identity;
	d->service = s;
	d->nqueues = queues;
	d->depth = p->depth;
	mutex_init(&d->partitions_lock, LOCK_block_partitions);
	spin_lock_init(&d->serial_lock, LOCK_block_serial);
	for (u32 i = 0; i < queues; i++)
		if (!queue_init(d, i))
			return nullptr; // threads of its queues run: it cannot be freed
	list_init(&d->link);
	return d;
}

static int queue_slots_alloc(struct disk_queue *q)
{
	struct disk *d = q->disk;
	u64 bytes = d->depth * sizeof(struct block_slot), address;
	void *at;
	int err = service_shared_alloc(d->service,
				       div_round_up(bytes + d->depth * sizeof(u16), PAGE_SIZE),
				       false, &at, &address);

	if (err)
		return err;
	spin_lock(&q->slots_lock);
	q->slots = at;
	q->order = (u16 *)((u8 *)at + bytes);
	q->slots_address = address;
	q->order_address = address + bytes;
	q->tail = 0;
	q->life = d->lives;
	for (u32 i = 0; i < d->depth; i++)
		q->free[i / 64] |= 1ull << i % 64;
	spin_unlock(&q->slots_lock);
	return 0;
}

static void params_take(struct disk *d, const struct block_params *p)
{
	d->limits = (struct block_limits){
		.segments = p->segments,
		.max_sectors = p->max_sectors,
		.max_discard_sectors = p->flags & BLOCK_HAS_DISCARD ? p->max_discard_sectors : 0,
		.max_write_zeroes_sectors =
			p->flags & BLOCK_HAS_WRITE_ZEROES ? p->max_write_zeroes_sectors : 0,
		.logical_block = p->logical_block,
		.physical_block = p->physical_block,
		.flags = p->flags,
	};
	store_once(&d->sectors, p->sectors);
	if (p->serial[0])
		serial_set(d, p->serial, sizeof(p->serial));
}

static s64 disk_bind(struct service *s, struct disk *d, const struct block_params *p,
		     const struct block_ops *ops)
{
	struct disk_object *b = kzalloc(sizeof(*b));
	s64 r = -ENOMEM;

	if (!b)
		return r;
	gate_object_init(&b->object, HANDLE_BLOCK, &disk_ops);
	mutex_init(&b->grants_lock, LOCK_block_grants);
	b->disk = d;
	b->life = ++d->lives;
	params_take(d, p);
	for (u32 i = 0; i < d->nqueues; i++)
		if (queue_slots_alloc(&d->queues[i]))
			goto out;
	r = gate_port_bind(&d->port, s, &gate_block_interface, p->cookie, ops);
	if (!r)
		r = handle_publish(s, &b->object);
out:
	gate_object_put(&b->object);
	return r;
}

s64 gate_block_register(u64 self, u64 device, const struct block_params *params,
			const struct block_ops *ops)
{
	struct service *s = service_of_handle(self);
	u64 identity = 0;
	bool stale = false;
	s64 r;

	if (!s || (device && !gate_device_identify(device, &identity, &stale)))
		return -EBADF;
	if (!params_good(params) || stale) // it may still write to what it was given: not reset
		return -EINVAL;
	mutex_lock(&disks_lock);
	struct disk *d = disk_find(s, identity, params->prefix);

	if (d && (d->state == DISK_READY || d->depth != params->depth ||
		  d->nqueues != min(params->queues, smp_ncpus))) {
		r = d->state == DISK_READY ? -EBUSY : -EINVAL;
	} else if (d) {
		r = disk_bind(s, d, params, ops);
	} else {
		d = disk_create(s, identity, params);
		r = d ? disk_bind(s, d, params, ops) : -ENOMEM;
		if (d)
			list_add_tail(&disks, &d->link);
	}
	mutex_unlock(&disks_lock);
	return r;
}

int gate_block_queue(u64 disk, u32 queue, struct block_queue_info *info)
{
	struct gate_object *o = handle_get(disk, HANDLE_BLOCK);
	int r = -EINVAL;

	if (!o)
		return -EBADF;
	struct disk *d = object_of(o)->disk;

	if (queue < d->nqueues) {
		*info = (struct block_queue_info){.slots = d->queues[queue].slots_address,
						  .order = d->queues[queue].order_address,
						  .depth = d->depth};
		r = 0;
	}
	gate_object_put(o);
	return r;
}

int gate_block_ready(u64 disk)
{
	struct gate_object *o = handle_get(disk, HANDLE_BLOCK);
	int r = -EBUSY;

	if (!o)
		return -EBADF;
	struct disk_object *b = object_of(o);
	struct disk *d = b->disk;

	mutex_lock(&disks_lock);
	if (!xchg(&b->ready, true) && d->lives == b->life) {
		r = 0;
		store_once(&d->state, DISK_READY);
		for (u32 i = 0; i < d->nqueues; i++) {
			mutex_lock(&d->queues[i].lock);
			d->queues[i].bound = true;
			mutex_unlock(&d->queues[i].lock);
			disk_interrupt(d, i); // whoever comes to poll feeds it, too
		}
	}
	mutex_unlock(&disks_lock);
	if (!r)
		partitions_scan_later(d);
	gate_object_put(o);
	return r;
}

// The memory of a request that is no longer in flight; then its slot may be used again.
static void grant_withdraw(struct disk_object *b, struct disk_queue *q, u32 tag)
{
	mutex_lock(&b->grants_lock);
	gate_grant_end(&b->grants[q->index * b->disk->depth + tag]);
	mutex_unlock(&b->grants_lock);
	spin_lock(&q->slots_lock);
	if (q->life == b->life)
		q->free[tag / 64] |= 1ull << tag % 64;
	spin_unlock(&q->slots_lock);
}

int gate_block_complete(u64 disk, u32 queue, u32 tag, s32 status)
{
	struct gate_object *o = handle_get(disk, HANDLE_BLOCK);
	struct block_request *r = nullptr;

	if (!o)
		return -EBADF;
	struct disk_object *b = object_of(o);
	struct disk *d = b->disk;

	if (queue < d->nqueues && tag < d->depth && status <= 0 && status >= -MAX_ERRNO) {
		struct disk_queue *q = &d->queues[queue];
		bool granted = false;

		spin_lock(&q->slots_lock);
		if (q->life == b->life && q->in_flight[tag]) {
			r = q->in_flight[tag];
			q->in_flight[tag] = nullptr; // from here on nothing of it is granted
			q->nin_flight--;
			granted = load_once(&b->grants);
			if (!granted)
				q->free[tag / 64] |= 1ull << tag % 64;
		}
		spin_unlock(&q->slots_lock);
		if (unlikely(granted))
			grant_withdraw(b, q, tag);
		if (r)
			request_finish(q, r, status);
	}
	gate_object_put(o);
	return r ? 0 : -EINVAL;
}

int gate_block_serial(u64 disk, const void *text, u64 len)
{
	struct gate_object *o = handle_get(disk, HANDLE_BLOCK);

	if (!o)
		return -EBADF;
	serial_set(object_of(o)->disk, text, len);
	gate_object_put(o);
	return 0;
}

// ---- data for services that move it by the CPU ----

static s64 request_pages(const struct block_request *r, struct page **pages)
{
	u32 n = 0;

	for (u32 i = 0; i < r->nvec; i++) {
		const struct block_vec *v = &r->vec[i];

		if (!is_aligned(v->at.addr | v->len, PAGE_SIZE))
			return -EINVAL;
		for (u32 at = 0; at < v->len; at += PAGE_SIZE) {
			if (n == BLOCK_SEGMENTS)
				return -EINVAL;
			pages[n++] = phys_page(phys_add(v->at, at));
		}
	}
	return n ?: -EINVAL;
}

static s64 map_locked(struct disk_object *b, struct service *s, u32 queue, u32 tag)
{
	struct disk_queue *q = &b->disk->queues[queue];
	struct gate_grant *g = &b->grants[queue * b->disk->depth + tag];
	struct page *pages[BLOCK_SEGMENTS];
	bool writable = false;
	s64 n = -EINVAL;

	if (g->address)
		return (s64)g->address;
	spin_lock(&q->slots_lock);
	if (q->life == b->life && q->in_flight[tag]) {
		n = request_pages(q->in_flight[tag], pages);
		writable = q->in_flight[tag]->op == BLOCK_READ;
	}
	spin_unlock(&q->slots_lock);
	return n < 0 ? n : gate_grant_begin(s, g, pages, (u64)n, writable);
}

s64 gate_block_map(u64 disk, u32 queue, u32 tag)
{
	struct gate_object *o = handle_get(disk, HANDLE_BLOCK);
	s64 r = -EINVAL;

	if (!o)
		return -EBADF;
	struct disk_object *b = object_of(o);
	struct disk *d = b->disk;

	if (queue < d->nqueues && tag < d->depth) {
		mutex_lock(&b->grants_lock);
		if (!b->grants)
			store_once(&b->grants, kcalloc(d->nqueues * d->depth, sizeof(*b->grants)));
		r = b->grants ? map_locked(b, o->owner, queue, tag) : -ENOMEM;
		mutex_unlock(&b->grants_lock);
	}
	gate_object_put(o);
	return r;
}

static void block_init(void)
{
	service_watch(&watcher);
}
INITCALL(3, block_init);
