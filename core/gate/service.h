// SPDX-License-Identifier: MIT
// What core's files know of services and gates: the structs, and what the files of core/gate/ call
// of each other. Privileged; private to core/.
#pragma once
#include "abi/gate/service.h"
#include "base/atomic.h"
#include "base/errno.h"
#include "base/list.h"
#include "core/gate.h"
#include "core/lock.h"
#include "core/page.h"
#include "core/panic.h"
#include "core/wait.h"

struct trap_frame;

constexpr u32 SERVICES_MAX = 32; // slots of address space reserved for them
constexpr u32 GATE_STACKS = 80;	 // threads inside one service at a time: one for each CPU, and some
constexpr u32 GATE_CALLS_MAX = 128; // entries of calls.def
constexpr u64 GATE_STACK_SIZE = 16 * KiB;
constexpr u32 SERVICE_HANDLES_MAX = 1024;
constexpr u32 SERVICE_THREADS_MAX = 32;
constexpr u64 SERVICE_PAGES_MAX = 64 * MiB / PAGE_SIZE;
constexpr u64 SERVICE_DEADLINE_NS =
	10'000'000'000;		    // of one call, unless the command line says otherwise
constexpr u32 SERVICE_RESTARTS = 5; // in a minute, likewise

// A service's slot is divided into windows, and each life of the service lies in the next one, so
// an address of an earlier life leads nowhere.
constexpr u64 WINDOW_SIZE = 2 * GiB;
constexpr u32 WINDOWS = 256;
enum region_kind : u8 {
	REGION_IMAGE,  // the shared object
	REGION_STACK,  // a place of 64 KiB for each stack, its lower part unmapped
	REGION_HEAP,   // gate_memory_alloc
	REGION_DMA,    // the same, contiguous, with a bus address
	REGION_SHARED, // written by core
	REGION_MMIO,   // device registers
	REGION_GRANT,  // pages that are its for a while
	REGION_KINDS,
};
constexpr u64 STACK_PLACE = 64 * KiB;

// One stack inside a service, and the record of the call that runs on it.
struct gate_stack {
	// Down to generation known to assembly (core/arch/): the offsets are asserted there.
	struct thread *thread;	 // atomic: who runs on it; nullptr: free
	u64 saved_sp;		 // the kernel stack pointer that the gate returns with; its thread
	u64 root;		 // what the CPU loads for the service's view; memory lock
	u64 top;		 // of the stack; memory lock
	struct service *service; // immutable
	// The record of the call, written by its thread
	struct gate_stack *outer; // the thread's enclosing gate
	struct gate_port *port;
	u32 op;
	u32 ticks;	 // of the scheduler while the thread was in the service
	u64 deadline_ns; // for sleeping; 0: not yet computed
	u64 calls_in, calls_out;
	u32 generation; // the life of the service that `top` belongs to; 0: none. memory lock
	u32 refused;
	u64 elevations;
} __aligned(128);
static_assert(sizeof(struct gate_stack) == 128);

// What a service has in its window.
struct service_region {
	struct list link;
	u64 address, npages;
	enum region_kind kind;
	phys_t phys; // REGION_DMA, REGION_MMIO: where it begins
};

struct service {
	// hot: gates read it; known to assembly down to isolation
	u32 live;			  // its generation while calls may enter, else 0; atomic
	u32 stack_waiters;		  // threads that wait for a free stack; atomic
	u64 imports[GATE_CALLS_MAX / 64]; // calls that it may make; constant while it lives
	enum isolation isolation;	  // of this life; services_lock
	// who it is; immutable after boot
	u32 id;		      // index of its slot
	u32 limit_ticks;      // how long a call may compute; 0: for ever
	u32 restarts_allowed; // in a minute
	u64 deadline_ns;      // of one call, sleeping included; 0: none
	const u8 *file;	      // the shared object in the boot archive
	size_t file_len;
	char name[SERVICE_NAME_MAX];
	char folder[16];
	struct gate_stack stacks[GATE_STACKS];
	// its life; services_lock (a mutex), but state is read atomically and becomes DEAD without
	// it
	enum service_state state;
	enum isolation wanted; // of the next life
	u32 generation;	       // counts lives, from 1
	bool stop_wanted;      // not to be started again
	u32 provides;	       // enum gate_importer
	char description[80];
	const struct device_match *devices; // core's copy; ndevices of them
	u32 ndevices;
	struct service_ops ops;
	struct gate_port base; // of ops
	u64 self;	       // HANDLE_SERVICE
	u64 died_ns, restart_ns;
	u64 recent[32]; // times of the last faults, a ring
	u32 nrecent;
	char death[64]; // why it died
	bool buried;	// the report is out; atomic
	atomic_u64 faults, restarts;
	// what it may name; handle lock (handle.c)
	struct list objects;
	u32 nobjects;
	// its memory (memory.c): the mutex guards page tables and changes of the list, the spinlock
	// the list as readers see it
	mutex_t memory;
	spinlock_t regions_lock;
	struct list regions;
	u64 window; // address of this life's window
	u64 text_start, text_end;
	u64 pages; // of memory that is the service's; regions_lock
	u64 grant_next;
	struct list quarantine; // DMA memory of earlier lives: service_region
	u64 quarantined;
	const u64 *sites; // places that may elevate; core's copy
	u32 nsites;
	atomic_u32 nthreads;	      // of its own, and those of its interrupts
	struct wait_queue stack_wait; // for a free stack, and for the end of a life
};

// ---- service.c: lives ----
struct service *service_by_id(u32 id); // nullptr: none
// Ends the life of a service, whose generation it is given, at this instant: no new call enters,
// and threads that are inside leave it when they next would run in it. The manager does the rest.
// True: it was this call that ended it. Any context that may take spinlocks.
bool service_die(struct service *s, u32 generation, const char *why);
// The second step, when everything about the death has been reported: the manager may take over.
void service_bury(struct service *s, bool fault);

// ---- gate.c: crossing ----
// The thread's way back into a service (after a call, an interrupt, a fault): switches threads,
// looks at deadlines, leaves a dead service. Interrupts off at entry and exit. Does not return when
// the thread leaves.
void gate_resume(struct trap_frame *f);
// A fault of code that runs in a service: reports, ends the service's life, leaves it. what: "page
// fault"; detail: a sentence on the address, or "".
[[noreturn]] void gate_fault(struct trap_frame *f, const char *what, const char *detail);
void gate_tick(void);	  // the scheduler's tick met the current thread inside a service
int gate_elevate(u64 ip); // may code at ip? 0, -EPERM, -EACCES: a violation
// As gate_call, when that found no stack at once, or the service is isolated.
long gate_call_slow(struct gate_port *p, u32 op, u64 a1, u64 a2, u64 a3, u64 a4, u64 a5);
void gate_stack_wake(struct service *s); // a stack became free, and somebody waits
void gate_strange_call_describe(u64 number, char *buf, size_t cap);
// Sleeping in a call: until when at most (~0: for ever), whether to end now, and that it was too
// long.
u64 gate_sleep_deadline(void);
bool gate_must_leave(void);
void gate_sleep_overdue(void);

// ---- handle.c ----
void handle_close_all(struct service *s); // detaches every object
struct gate_object *handle_get_owned(const struct service *owner, u64 handle, u32 kind);
int handle_close(struct service *owner, u64 handle);

// ---- memory.c ----
void service_memory_init(void);		      // boot
int service_window_open(struct service *s);   // before a life
void service_window_close(struct service *s); // after it: everything unmapped, freed or quarantined
void service_quarantine_free(struct service *s);
// Memory lock not held. kind HEAP, DMA or SHARED. -ENOMEM, -EINVAL.
s64 service_memory_alloc(struct service *s, u64 npages, enum region_kind kind);
int service_memory_free(struct service *s, u64 address);
s64 service_memory_bus(struct service *s, u64 address);
// at and len in whole pages; pages that a byte of [hole, hole + hole_len) lies in are left out.
s64 service_mmio_map(struct service *s, phys_t at, u64 len, u64 hole, u64 hole_len);
// The image at the window's start, in this order: its place; whole pages of the archive that it
// shares, not to be written; memory for the rest, which core writes by service_core_address(); what
// of that is constant from then on. What was done when one fails ends with the window.
int service_image_begin(struct service *s, u64 npages);
int service_image_share(struct service *s, u64 offset, const void *pages, u64 npages, bool exec);
int service_image_fill(struct service *s);
void service_image_protect(struct service *s, u64 offset, u64 npages);
void *service_core_address(struct service *s, u64 address);	  // nullptr: not mapped memory
bool service_owns(const struct service *s, u64 address, u64 len); // within its window
int gate_stack_prepare(struct service *s, struct gate_stack *st); // memory of this life for a stack
struct service_region *service_region_find(struct service *s, u64 address); // regions_lock held

// ---- loader.c ----
// Maps the image of a service and connects its imports. 0, or an error and *why.
int service_load(struct service *s, const char **why);
const char *service_symbol(const struct service *s, u64 address, u64 *offset, u64 *size);
// The same for any address: nullptr when it is not a service's code; *service is set when it lies
// in a service's slot. Gate stubs count as code too.
const char *service_symbol_of(u64 address, u64 *offset, u64 *size, const char **service);

// ---- device.c ----
bool devices_any(
	const struct service *s);     // is there one that its table matches, and nobody else has?
u32 devices_probe(struct service *s); // claims them and calls probe: how many work
void devices_quiesce(struct service *s);	 // its life ended: they reach memory no more
bool devices_are_quiet(const struct service *s); // none may still use what an earlier life gave it
void devices_init(void);

// ---- report.c ----
void service_report(struct trap_frame *f, struct gate_stack *st, const char *what,
		    const char *detail);
