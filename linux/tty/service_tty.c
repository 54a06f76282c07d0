// SPDX-License-Identifier: MIT
// service_tty.c: terminals whose driver is a service: their registration, and their lives longer
// than the service's. Privileged.
//
// Purpose. A service registers a terminal under a name (ttyS0, hvc0). The first time the terminal
// and its device file are made; they stay for good. When the service dies the terminal is unbound:
// its driver takes nothing, and writers wait. When it registers the name again, the terminal is
// bound to it, and the terminal's work calls the driver's refresh(), which tells the service what
// it must know (settings, an unfinished chunk); then output goes on.
//
// Locks. `lock` (LOCK_service_ttys, a mutex): the list, and registering and unregistering. Within
// it tty.lock, under which all calls into the service are made, and the port is bound and unbound.
// What a service calls takes neither: it may be called from within a call into it.
//
// Lifetime. Terminals live for ever; an object (struct service_tty_object) lives as long as its
// handle, and those who look at it.
//
// Failure. A call into a service that dies in it returns -EIO; the driver decides what becomes of
// the bytes. A service that will not come back leaves its terminals waiting (`gone`).
#include "linux/tty/service_tty.h"
#include "base/fmt.h"
#include "base/string.h"
#include "core/init.h"
#include "core/log.h"
#include "core/slab.h"
#include "abi/linux/fcntl.h"

constexpr u32 TERMINALS_MAX = 32;

struct service_tty_object {
	struct gate_object object; // first
	struct service_tty *st;	   // immutable, as all below once it is published and bound
	u32 life;
	u64 buffer; // as the service sees it
};

static mutex_t lock = MUTEX_INIT(lock, LOCK_service_ttys);
static struct service_tty *terminals[TERMINALS_MAX]; // grows at its end; lock for changes
static u32 nterminals;				     // atomic

static struct service_tty_object *object_of(struct gate_object *o)
{
	return container_of(o, struct service_tty_object, object);
}

struct service_tty *service_tty_find(const char *name, size_t len)
{
	for (u32 i = 0; i < load_acquire(&nterminals); i++)
		if (strlen(terminals[i]->name) == len && !memcmp(terminals[i]->name, name, len))
			return terminals[i];
	return nullptr;
}

struct service_tty *service_tty_nth(u32 index)
{
	return index < load_acquire(&nterminals) ? terminals[index] : nullptr;
}

bool service_tty_busy(struct service_tty *st)
{
	struct tty *t = &st->tty;

	if (!mutex_trylock(&t->lock))
		return true;
	bool busy = st->bound && ((!t->stopped && !output_push(t)) || t->driver->pending(t));

	mutex_unlock(&t->lock);
	return busy;
}

struct service_tty *service_tty_get(u64 handle, enum handle_kind kind, u32 *life)
{
	struct gate_object *o = handle_get(handle, kind);

	if (!o)
		return nullptr;
	struct service_tty *st = object_of(o)->st;

	*life = object_of(o)->life;
	gate_object_put(o);
	return st;
}

s64 service_tty_buffer(u64 handle, enum handle_kind kind)
{
	struct gate_object *o = handle_get(handle, kind);
	s64 r = o ? (s64)object_of(o)->buffer : -EBADF;

	if (o)
		gate_object_put(o);
	return r;
}

// ---- ends of registrations ----

void service_tty_fault(struct service_tty *st, const char *why)
{
	gate_port_fault(&st->port, why);
	st->bound = false;
}

static void detach(struct gate_object *o)
{
	struct service_tty *st = object_of(o)->st;

	mutex_lock(&lock);
	mutex_lock(&st->tty.lock);
	if (st->life == object_of(o)->life) {
		gate_port_unbind(&st->port);
		st->bound = false;
	}
	mutex_unlock(&st->tty.lock);
	mutex_unlock(&lock);
}

static const struct gate_object_ops object_ops = {.detach = detach, .release = gate_object_free};

static void service_gone(struct service *s)
{
	mutex_lock(&lock);
	for (u32 i = 0; i < nterminals; i++) {
		struct service_tty *st = terminals[i];

		if (st->port.service != s)
			continue;
		mutex_lock(&st->tty.lock);
		st->gone = !st->bound;
		mutex_unlock(&st->tty.lock);
		tty_write_space(&st->tty); // what waits may have another way now
	}
	mutex_unlock(&lock);
}
static struct service_watcher watcher = {.gone = service_gone};

static int terminal_open(struct inode *inode, struct file *f)
{
	for (u32 i = 0; i < load_acquire(&nterminals); i++)
		if (terminals[i]->tty.dev == inode->rdev)
			return tty_file_open(&terminals[i]->tty, f, !(f->flags & O_NOCTTY), true);
	return -ENXIO; // between its device file's birth and its own
}

static const struct file_ops terminal_file_ops = {.open = terminal_open};

// ---- registering; lock held ----

static struct service_tty *terminal_make(const struct service_tty_kind *kind, u32 unit,
					 const void *params)
{
	struct service_tty *st = nterminals < TERMINALS_MAX ? kzalloc(kind->size) : nullptr;
	u32 minor = kind->first_minor + unit;

	if (!st)
		return err_ptr(-ENOMEM);
	tty_init(&st->tty, kind->driver, dev_make(kind->major, minor), unit);
	st->kind = kind;
	scnprintf(st->name, sizeof(st->name), "%s%u", kind->prefix, unit);
	if (kind->init)
		kind->init(&st->tty, params);
	int err = dev_register_char(kind->major, minor, st->name, 0660, &terminal_file_ops);

	if (err) {
		kfree(st);
		return err_ptr(err);
	}
	terminals[nterminals] = st;
	store_release(&nterminals, nterminals + 1);
	console_added(st);
	return st;
}

// tty.lock held. A service gets one buffer a life, however often it registers.
static int bind_locked(struct service_tty *st, struct service *s, u64 cookie, const void *ops)
{
	int err = gate_port_bind(&st->port, s, st->kind->interface, cookie, ops);
	void *buffer;

	if (err || st->buffer_life == st->port.generation)
		return err;
	err = service_shared_alloc(s, 1, false, &buffer, &st->buffer_address);
	if (err) {
		gate_port_unbind(&st->port);
		return err;
	}
	st->buffer = buffer;
	st->buffer_life = st->port.generation;
	return 0;
}

static s64 bind(struct service_tty *st, struct service *s, struct service_tty_object *o, u64 cookie,
		const void *ops)
{
	o->st = st;
	o->life = ++st->life;
	s64 handle = handle_publish(s, &o->object);

	if (handle < 0)
		return handle;
	// Last of all, for now calls may come: what the service still has to ask for (the buffer's
	// address) waits for none of them.
	mutex_lock(&st->tty.lock);
	int err = bind_locked(st, s, cookie, ops);

	o->buffer = st->buffer_address;
	st->bound = !err;
	st->gone &= err != 0;
	mutex_unlock(&st->tty.lock);
	tty_refresh(&st->tty);
	return err ?: handle;
}

s64 service_tty_register(u64 self, const struct service_tty_kind *kind, const char prefix[8],
			 u32 unit, u64 cookie, const void *ops, const void *params)
{
	struct service *s = service_of_handle(self);
	char name[16];
	s64 r;

	if (!s)
		return -EBADF;
	if (!memchr(prefix, 0, 8) || strcmp(prefix, kind->prefix) || unit >= kind->count)
		return -EINVAL;
	struct service_tty_object *o = kzalloc(sizeof(*o));

	if (!o)
		return -ENOMEM;
	gate_object_init(&o->object, kind->handle, &object_ops);
	int len = scnprintf(name, sizeof(name), "%s%u", prefix, unit);

	mutex_lock(&lock);
	struct service_tty *st = service_tty_find(name, (size_t)len);

	if (!st)
		st = terminal_make(kind, unit, params);
	if (is_err(st))
		r = ptr_err(st);
	else if (st->bound || (st->port.service && st->port.service != s))
		r = -EBUSY;
	else
		r = bind(st, s, o, cookie, ops);
	mutex_unlock(&lock);
	if (r < 0)
		handle_close_object(&o->object);
	gate_object_put(&o->object);
	return r;
}

static void service_ttys_start(void)
{
	service_watch(&watcher);
}
INITCALL(3, service_ttys_start);
