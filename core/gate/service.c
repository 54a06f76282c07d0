// SPDX-License-Identifier: MIT
// service.c: the lives of services: which there are, starting, dying, restarting, giving up.
//
// Purpose. Services travel in the kernel's image (an archive that mk/services.mk makes). At boot
// each one that is wanted is loaded and started; when it dies it is loaded anew, in a fresh window,
// and registers again what it had registered. What it owned is released by core; nothing of it is
// trusted to help.
//
// States (enum service_state):
//   UNUSED    not loaded: switched off, stopped, or no device for it is there
//   STARTING  loaded; start() and probe() run. Calls may enter
//   RUNNING
//   DEAD      service_die() was called: no call enters, threads that are inside leave. Its memory
//   is still there
//             until the one who reports is done (service_bury); then the manager releases all and
//             starts it again, as STARTING
//   FAILED    died more often in a minute than it may: stays down, its objects answer with errors
//
// Threads. The manager is a kernel thread; it alone takes DEAD services further. Administrators'
// commands and the boot thread start and stop services themselves. All of them hold services_lock
// meanwhile; a death takes no lock, so a service may die while its start() runs under the lock.
//
// Locks. services_lock (LOCK_services, a mutex, taken before everything that providers take): all
// of struct service that belongs to its life. `live` and `state` are read without it.
//
// Failure. What cannot be loaded is logged in one sentence, and stays UNUSED.
#include "base/fmt.h"
#include "base/parse.h"
#include "base/string.h"
#include "core/cmdline.h"
#include "core/gate/gate_calls.h"
#include "core/init.h"
#include "core/log.h"
#include "core/slab.h"
#include "core/time.h"
#include <arch/gate.h>
#include <gate/interfaces.h>

// The archive (mk/services.mk).
struct archived {
	const char *folder, *name;
	const u8 *start, *end;
};
extern const struct archived services_archive[];
extern const u32 services_archived;

static mutex_t services_lock = MUTEX_INIT(services_lock, LOCK_services);
static struct service *services[SERVICES_MAX]; // immutable after boot
static u32 nservices;			       // likewise
static struct wait_queue manager_wait = WAIT_QUEUE_INIT(manager_wait);

struct service *service_by_id(u32 id)
{
	return id < load_acquire(&nservices) ? services[id] : nullptr;
}

static struct service *service_by_name(const char *name)
{
	for (u32 i = 0; i < nservices; i++)
		if (!strcmp(services[i]->name, name))
			return services[i];
	return nullptr;
}

const char *isolation_name(enum isolation i)
{
	static const char *const names[ISOLATION_COUNT] = {"privileged", "lowered", "isolated"};

	return i < ISOLATION_COUNT ? names[i] : "?";
}

const char *service_state_name(enum service_state s)
{
	static const char *const names[] = {"unused", "starting", "running", "dead", "failed"};

	return s < ARRAY_SIZE(names) ? names[s] : "?";
}

static bool isolation_parse(const char *text, enum isolation *out)
{
	for (u32 i = 0; i < ISOLATION_COUNT; i++) {
		if (strcmp(text, isolation_name((enum isolation)i)) != 0)
			continue;
		*out = (enum isolation)i;
		return true;
	}
	return false;
}

static struct service_watcher *watchers; // immutable after boot

void service_watch(struct service_watcher *w)
{
	w->next = watchers;
	watchers = w;
}

static void tell_watchers(struct service *s)
{
	for (struct service_watcher *w = watchers; w; w = w->next)
		w->gone(s);
}

// ---- dying ----

bool service_die(struct service *s, u32 generation, const char *why)
{
	u32 live = generation;

	if (!generation || !try_cmpxchg(&s->live, &live, 0u))
		return false;
	strscpy(s->death, why, sizeof(s->death));
	s->died_ns = clock_monotonic_ns();
	store_once(&s->buried, false);
	store_release(&s->state, SERVICE_DEAD);
	smp_mb(); // before looking at who is inside: pairs with the claim of a stack in gate_call
	for_each_cpu(cpu, cpumask_all() & ~(1ull << this_cpu_id()))
		if (load_once(percpu_ptr(cpu_service_root, cpu)))
			smp_kick((u32)cpu); // whoever runs in it there finds out on the way back
	wake_all(&s->stack_wait);
	return true;
}

void service_bury(struct service *s, bool fault)
{
	if (fault)
		s->recent[s->nrecent++ % ARRAY_SIZE(s->recent)] = s->died_ns;
	store_release(&s->buried, true);
	wake_all(&manager_wait);
}

static bool failed_too_often(const struct service *s)
{
	constexpr u64 MINUTE_NS = 60'000'000'000;
	u32 n = 0, have = min(s->nrecent, (u32)ARRAY_SIZE(s->recent));

	for (u32 i = 0; i < have; i++)
		n += s->died_ns - s->recent[i] < MINUTE_NS;
	return n > s->restarts_allowed;
}

// ---- starting and ending a life; services_lock held ----

static void self_release(struct gate_object *o)
{
	gate_object_free(o);
}
static const struct gate_object_ops self_ops = {.release = self_release};

// The service's handle of itself, by which it makes its first calls.
static int self_publish(struct service *s)
{
	struct gate_object *self = kzalloc(sizeof(*self));
	s64 r;

	if (!self)
		return -ENOMEM;
	gate_object_init(self, HANDLE_SERVICE, &self_ops);
	r = handle_publish(s, self);
	gate_object_put(self);
	s->self = (u64)r;
	return r < 0 ? (int)r : 0;
}

static void life_end(struct service *s)
{
	assert_held(&services_lock);
	devices_quiesce(s);
	handle_close_all(s);
	gate_port_unbind(&s->base);
	if (s->isolation == ISOLATION_PRIVILEGED) // its threads run in it without a gate
		wait_event(&s->stack_wait, !atomic_load(&s->nthreads));
	service_window_close(s);
	if (devices_are_quiet(s))
		service_quarantine_free(s);
}

// Takes a service that lives down, on purpose.
static void life_stop(struct service *s, const char *why)
{
	if (service_die(s, load_once(&s->live), why))
		service_bury(s, false);
	wait_event(&manager_wait, load_acquire(&s->buried)); // somebody may be reporting its death
	life_end(s);
	s->state = SERVICE_UNUSED;
}

// The same, and it is not to be started again at once.
static void life_stop_for_good(struct service *s, const char *why)
{
	life_stop(s, why);
	tell_watchers(s);
}

static int life_begin(struct service *s, const char **why)
{
	int err;

	assert_held(&services_lock);
	s->generation++;
	s->isolation = s->wanted;
	err = service_window_open(s);
	if (err) {
		*why = "no memory";
		return err;
	}
	err = service_load(s, why);
	if (err) {
		service_window_close(s);
		return err;
	}
	if (s->ndevices && !devices_any(s)) {
		service_window_close(s);
		*why = nullptr;
		return -ENODEV;
	}
	s->state = SERVICE_STARTING;
	store_release(&s->live, s->generation);
	*why = "no memory";
	err = self_publish(s);
	if (!err) {
		*why = "start, probe or interrupt lies outside of the code";
		err = gate_port_bind(&s->base, s, &gate_service_interface, s->self, &s->ops);
	}
	if (!err) {
		*why = "its start failed";
		err = service_gate_start(&s->base);
	}
	if (err >= 0 && s->ndevices && !devices_probe(s)) {
		*why = "no device works";
		err = -ENODEV;
	}
	return err;
}

// Starts a service. 0, or why it is not running now. When it died on the way, the manager goes on.
static int service_up(struct service *s)
{
	enum service_state starting = SERVICE_STARTING;
	const char *why;
	int err = life_begin(s, &why);

	if (err < 0) {
		if (load_acquire(&s->state) == SERVICE_DEAD)
			return -EIO;
		if (load_once(&s->live))
			life_stop(s, why ?: "no device");
		s->state = SERVICE_UNUSED;
		tell_watchers(s);
		if (why)
			log_err("service %s: not started: %s (error %d)", s->name, why, -err);
		return err;
	}
	if (!try_cmpxchg(&s->state, &starting, SERVICE_RUNNING))
		return -EIO;
	return 0;
}

static int service_up_again(struct service *s)
{
	u64 died_ns = s->died_ns;
	int err;

	atomic_inc(&s->restarts);
	err = service_up(s);
	if (!err)
		s->restart_ns = clock_monotonic_ns() - died_ns;
	return err;
}

static void give_up(struct service *s)
{
	s->state = SERVICE_FAILED;
	klog(LOG_CRIT,
	     "service %s: failed more than %u times in a minute; it stays down (`echo start %s >/proc/halyard/services` tries again)",
	     s->name, s->restarts_allowed, s->name);
}

// A dead service, whose end was reported.
static void resurrect(struct service *s)
{
	char death[sizeof(s->death)];
	bool again = !s->stop_wanted && !failed_too_often(s);

	memcpy(death, s->death, sizeof(death));
	life_end(s);
	if (!again) {
		if (s->stop_wanted)
			s->state = SERVICE_UNUSED;
		else
			give_up(s);
		tell_watchers(s);
		return;
	}
	if (service_up_again(s))
		return; // said already, or died again
	log_notice("service %s: restarted after %llu us (%s; restart %llu)", s->name,
		   s->restart_ns / 1000, death, atomic_load(&s->restarts));
}

static struct service *find_dead(void)
{
	for (u32 i = 0; i < nservices; i++)
		if (load_acquire(&services[i]->state) == SERVICE_DEAD &&
		    load_acquire(&services[i]->buried))
			return services[i];
	return nullptr;
}

static void manager_main(void *unused)
{
	struct service *s;

	(void)unused;
	for (;;) {
		wait_event(&manager_wait, (s = find_dead()));
		mutex_lock(&services_lock);
		if (s->state == SERVICE_DEAD)
			resurrect(s);
		mutex_unlock(&services_lock);
	}
}

// ---- administrators ----

int service_kill(const char *name)
{
	struct service *s = service_by_name(name);
	u32 live;

	if (!s)
		return -ENOENT;
	live = load_once(&s->live);
	if (!live)
		return -EBUSY;
	if (s->isolation == ISOLATION_PRIVILEGED) { // nobody can be thrown out: it stops when empty
		mutex_lock(&services_lock);
		life_stop(s, "killed");
		int r = service_up_again(s);

		mutex_unlock(&services_lock);
		return r;
	}
	if (!service_die(s, live, "killed"))
		return -EBUSY;
	service_bury(s, false);
	return 0;
}

int service_poke(const char *name, u64 address)
{
	struct service *s = service_by_name(name);
	int r;

	if (!s)
		return -ENOENT;
	mutex_lock(&services_lock);
	r = load_once(&s->live) ? service_gate_poke(&s->base, address) : -EBUSY;
	mutex_unlock(&services_lock);
	return gate_failed(r) ? -EIO : r;
}

int service_stop(const char *name)
{
	struct service *s = service_by_name(name);

	if (!s)
		return -ENOENT;
	mutex_lock(&services_lock);
	s->stop_wanted = true;
	if (load_once(&s->live) || s->state == SERVICE_DEAD)
		life_stop_for_good(s, "stopped");
	mutex_unlock(&services_lock);
	return 0;
}

int service_start(const char *name)
{
	struct service *s = service_by_name(name);
	int err = 0;

	if (!s)
		return -ENOENT;
	mutex_lock(&services_lock);
	s->stop_wanted = false;
	s->nrecent = 0;
	if (s->state == SERVICE_UNUSED || s->state == SERVICE_FAILED)
		err = service_up(s);
	mutex_unlock(&services_lock);
	return err;
}

int service_set_isolation(const char *name, enum isolation i)
{
	struct service *s = service_by_name(name);
	int err = 0;

	if (!s)
		return -ENOENT;
	mutex_lock(&services_lock);
	s->wanted = i;
	if (load_once(&s->live) && s->isolation != i) {
		life_stop(s, "its class changes");
		err = service_up(s);
	}
	mutex_unlock(&services_lock);
	return err;
}

bool service_status_get(u32 index, struct service_status *out)
{
	struct service *s = service_by_id(index);

	if (!s)
		return false;
	bool alive = load_once(&s->live);

	*out = (struct service_status){
		.name = s->name,
		.description = s->description,
		.state = load_once(&s->state),
		.isolation = alive ? s->isolation : s->wanted,
		.pages = load_once(&s->pages),
		.handles = load_once(&s->nobjects),
		.faults = atomic_load(&s->faults),
		.restarts = atomic_load(&s->restarts),
		.restart_ns = s->restart_ns,
		.quarantined = load_once(&s->quarantined),
	};
	for (u32 n = 0; n < GATE_STACKS; n++) { // each is written by its thread: a near sum
		const struct gate_stack *st = &s->stacks[n];

		out->calls_in += load_once(&st->calls_in);
		out->calls_out += load_once(&st->calls_out);
		out->elevations += load_once(&st->elevations);
		out->refused += load_once(&st->refused);
		out->threads += load_once(&st->thread) != nullptr;
	}
	return true;
}

// The last word of a living service's image, which ends with what is writable; 0: it does not live.
static u64 last_word(struct service *s)
{
	const struct service_region *r;
	u64 at = 0;

	spin_lock(&s->regions_lock);
	list_for_each_entry(r, &s->regions, link) {
		if (r->kind == REGION_IMAGE)
			at = r->address + r->npages * PAGE_SIZE - sizeof(u64);
	}
	spin_unlock(&s->regions_lock);
	return load_once(&s->live) ? at : 0;
}

s64 service_data_address(struct service *s)
{
	u64 word = last_word(s);

	return word ? (s64)word : -ENOENT;
}

u64 services_sentinels_sum(void)
{
	u64 sum = 0;

	mutex_lock(&services_lock);
	for (u32 i = 0; i < nservices; i++) {
		u64 word = last_word(services[i]);
		const u64 *at = word ? service_core_address(services[i], word) : nullptr;

		sum = sum * 31 + (at ? *at : 0);
	}
	mutex_unlock(&services_lock);
	return sum;
}

u64 gate_stubs_address(void)
{
	return GATE_STUBS_BASE;
}

// ---- boot ----

static const char *option(const struct service *s, const char *what)
{
	char key[64];

	scnprintf(key, sizeof(key), "service.%s%s", s->name, what);
	return cmdline_value(key);
}

static u64 option_u64(const struct service *s, const char *what, u64 otherwise)
{
	const char *text = option(s, what);
	u64 value;

	if (!text)
		return otherwise;
	if (!strtou64(text, 10, &value))
		return value;
	log_warn("service.%s%s=%s is not a number; %llu is used", s->name, what, text, otherwise);
	return otherwise;
}

// Whether it is to run, and how, by the command line.
static bool configure(struct service *s)
{
	const char *all = cmdline_value("services"), *own = option(s, "");
	// those run when they are asked for
	bool runs = strcmp(s->folder, "test") != 0 && strcmp(s->folder, "example") != 0;

	s->wanted = ISOLATION_LOWERED;
	if (all && !isolation_parse(all, &s->wanted))
		log_warn("services=%s is not one of privileged, lowered, isolated; lowered is used",
			 all);
	if (own && !strcmp(own, "off"))
		return false;
	if (own && isolation_parse(own, &s->wanted))
		runs = true;
	else if (own)
		log_warn(
			"service.%s=%s is not one of privileged, lowered, isolated, off; %s is used",
			s->name, own, isolation_name(s->wanted));
	s->deadline_ns = option_u64(s, ".deadline_ms", SERVICE_DEADLINE_NS / 1'000'000) * 1'000'000;
	s->limit_ticks = (u32)min(div_round_up(s->deadline_ns, 4'000'000ull), (u64)~0u - 1);
	s->restarts_allowed = (u32)option_u64(s, ".restarts", SERVICE_RESTARTS);
	return runs;
}

static struct service *service_make(const struct archived *a, u32 id)
{
	struct service *s = kzalloc(sizeof(*s));

	if (!s)
		return nullptr;
	s->id = id;
	strscpy(s->name, a->name, sizeof(s->name));
	strscpy(s->folder, a->folder, sizeof(s->folder));
	s->file = a->start;
	s->file_len = (size_t)(a->end - a->start);
	list_init(&s->objects);
	list_init(&s->regions);
	list_init(&s->quarantine);
	mutex_init(&s->memory, LOCK_service_memory);
	spin_lock_init(&s->regions_lock, LOCK_service_regions);
	wait_queue_init(&s->stack_wait);
	for (u32 i = 0; i < GATE_STACKS; i++)
		s->stacks[i].service = s;
	return s;
}

// A name on the command line that is no service's is a mistake that would go unnoticed.
static void unknown_names_warn(void)
{
	u32 cursor = 0;
	const char *key;

	while (cmdline_next_behind("service.", &cursor, &key)) {
		const char *dot = strchr(key, '.');
		size_t len = dot ? (size_t)(dot - key) : strlen(key);
		bool known = false;

		for (u32 i = 0; i < nservices; i++)
			known |= strlen(services[i]->name) == len &&
				 !memcmp(services[i]->name, key, len);
		if (!known)
			log_warn("service.%.*s: there is no such service", (int)len, key);
	}
}

void services_boot(void)
{
	struct thread *manager = kthread_create(manager_main, nullptr, "services");
	bool runs[SERVICES_MAX];
	u32 n = 0;

	if (!manager)
		panic("no memory for the services' manager");
	service_memory_init();
	devices_init();
	mutex_lock(&services_lock);
	for (u32 i = 0; i < services_archived && n < SERVICES_MAX; i++, n++) {
		services[n] = service_make(&services_archive[i], n);
		if (!services[n])
			panic("no memory for the services' descriptions");
		runs[n] = configure(services[n]);
		services[n]->stop_wanted = !runs[n];
	}
	store_release(&nservices, n);
	mutex_unlock(&services_lock);
	unknown_names_warn();
	(void)sched_set_policy(manager, POLICY_NORMAL, 0,
			       -20); // programs wait for what it restarts
	thread_start(manager);
	for (u32 i = 0; i < n; i++) {
		mutex_lock(&services_lock);
		if (runs[i])
			(void)service_up(services[i]);
		mutex_unlock(&services_lock);
	}
}
