// SPDX-License-Identifier: MIT
// Gates: the ways between core (with linux/ above it) and services, as those use them who provide
// a class interface or watch services. Privileged. core/gate/gate.c says how they work.
//
// A provider (the block layer, the terminals) implements calls of abi/gate/calls.def: what a
// service registers becomes an object with a handle, and in it a gate_port by which the provider
// calls the service's functions (the generated <gate/interfaces.h>).
#pragma once
#include "abi/gate/service.h"
#include "base/atomic.h"
#include "base/errno.h"
#include "base/list.h"
#include "base/types.h"
#include "core/rcu.h"
#include "core/thread.h"

struct service;
struct page;

// ---------------------------------------------------------------- objects and handles

struct gate_object;
struct gate_object_ops {
	// The service that owned it is gone, or closed the handle: nobody finds it by its handle
	// any more. In a thread, may sleep; no lock held. The owner's reference is dropped
	// afterwards.
	void (*detach)(struct gate_object *o);
	// The last reference is gone: frees it. In a thread, may sleep.
	void (*release)(struct gate_object *o);
	// An interrupt whose target this is: cookie as given to gate_irq_attach. Interrupt context;
	// under RCU. May be nullptr: it can be no target.
	void (*interrupt)(struct gate_object *o, u64 cookie);
};
// Embedded in what a service can name.
struct gate_object {
	const struct gate_object_ops *ops; // immutable
	enum handle_kind kind;		   // immutable
	refcount_t refs;
	u64 handle;	       // immutable once published; 0: none yet
	struct service *owner; // immutable
	struct list link;      // of the owner's objects; handle lock
	struct rcu_head rcu;
};

// Prepares an object (refs 1: the caller's).
void gate_object_init(struct gate_object *o, enum handle_kind kind,
		      const struct gate_object_ops *ops);
// Gives it a handle that belongs to service s, which takes a reference of its own: the handle, or
// -ENOMEM, -EMFILE (s has too many), -EIO (s is dead).
s64 handle_publish(struct service *s, struct gate_object *o);
// The object behind a handle of that kind (enum handle_kind, or any number), with a reference;
// nullptr. Any context.
struct gate_object *handle_get(u64 handle, u32 kind);
void gate_object_put(struct gate_object *o); // may sleep
// For release functions: gives kmalloc'ed memory that begins with the object back, once no lookup
// can be looking at it.
void gate_object_free(struct gate_object *o);
// As if the owner had closed it; harmless when it is closed.
void handle_close_object(struct gate_object *o);
static inline void gate_object_get(struct gate_object *o)
{
	refcount_inc(&o->refs);
}
// The service behind the handle that start() was given; it lives as long as the kernel. nullptr:
// bad handle.
struct service *service_of_handle(u64 self);

// ---------------------------------------------------------------- calls into a service

constexpr u32 GATE_OPS_MAX = 8;
constexpr u32 GATE_NEVER_FAST = ~0u; // no service's generation, and not the 0 of one that is dead

struct gate_interface {
	const char *name;
	u32 nops;
	const char *const *op_names;
};

// One registration of a class interface. Its owner (a provider's object) keeps it across restarts
// of the service. The provider's lock guards it: calls are made by a port, and it is bound and
// unbound, only under a lock of the provider's, shared or not, so that nobody is inside a
// privileged service that goes away.
struct gate_port {
	// known to assembly (core/arch/) down to entry
	struct service *service; // nullptr until it was bound first; immutable then
	u32 fast;		 // generation, or GATE_NEVER_FAST
	u32 generation;		 // of the service when it was bound; 0: not bound
	u64 cookie;
	uintptr_t entry[GATE_OPS_MAX];
	bool direct;	 // bound, to a privileged service
	u32 limit_ticks; // how long a call may compute; 0: for ever
	const struct gate_interface *interface;
};

// Binds a port to the functions of a service's ops struct (ops: interface->nops addresses).
// -EINVAL: one of them does not lie in the service's code. The port may have been bound before, to
// the same service.
int gate_port_bind(struct gate_port *p, struct service *s, const struct gate_interface *i,
		   u64 cookie, const void *ops);
// Ends the life of the service behind a port, for what a provider found out about it. Any context
// that may take spinlocks, but interrupts.
void gate_port_fault(struct gate_port *p, const char *why);
// No call enters by it any more.
void gate_port_unbind(struct gate_port *p);

// Enters a service: on this thread, in the service's view, on a stack inside the service. In a
// thread that may sleep. Returns what the function returned, or
//   -EIO        the service faulted, exceeded its deadline or was stopped meanwhile
//   -ENODEV     the port is not bound, or to an earlier life of the service
//   -ENOMEM     no stack
// Use the typed functions of <gate/interfaces.h>.
long gate_call(struct gate_port *p, u32 op, u64 a1, u64 a2, u64 a3, u64 a4, u64 a5);

// Did the last call by this thread fail because the service did (and not by its own answer)?
static inline bool gate_failed(long r)
{
	return unlikely(r == -EIO || r == -ENODEV);
}

// ---------------------------------------------------------------- memory

// The service's own memory as core writes and reads it: a range that lies wholly in what was given
// to the service, else false. Any thread; survives that the memory vanishes.
bool service_copy_in(void *dst, u64 src, u64 len); // the calling thread's service
bool service_copy_out(u64 dst, const void *src, u64 len);

// Memory of core's that a service may read, or (writable) read and write: npages pages
// (OWNER_SERVICE), mapped into the service until it dies. *at: core's own address of it; *address:
// the service's. 0, -ENOMEM.
int service_shared_alloc(struct service *s, u64 npages, bool writable, void **at, u64 *address);

// Grants pages to a service for a while: they appear at the address that is returned (or -ENOMEM,
// -EIO: dead). gate_grant_end takes them away again: when it returns, no CPU of a service reaches
// them. Of any owner; the caller holds references meanwhile. May sleep.
struct gate_grant {
	struct service *service;
	u32 generation;
	u64 address;
	u64 npages;
};
s64 gate_grant_begin(struct service *s, struct gate_grant *g, struct page *const *pages, u64 npages,
		     bool writable);
void gate_grant_end(struct gate_grant *g);

// ---------------------------------------------------------------- devices

// What tells a device apart, in all lives of its service; and whether it may still use memory that
// an earlier life gave it. False: no such handle.
bool gate_device_identify(u64 device, u64 *id, bool *stale);

// ---------------------------------------------------------------- services

enum service_state : u32 {
	SERVICE_UNUSED,	  // switched off, or nothing that needs it is there
	SERVICE_STARTING, // start and probe run
	SERVICE_RUNNING,
	SERVICE_DEAD,	// faulted or stopped; the manager takes it from there
	SERVICE_FAILED, // faulted too often: stays down
};

struct service_status {
	const char *name;
	const char *description;
	enum service_state state;
	enum isolation isolation;
	u64 pages; // memory, in pages: image, stacks, heap
	u64 handles;
	u64 calls_in;  // into the service through gates (privileged: not counted)
	u64 calls_out; // from it
	u64 elevations;
	u64 refused; // calls of its that were refused
	u64 faults;
	u64 restarts;	 // whatever for
	u64 restart_ns;	 // how long the last one took; 0: none
	u64 quarantined; // pages that a device may still use
	u32 threads;	 // inside right now
};
bool service_status_get(u32 index, struct service_status *out); // false after the last
const char *isolation_name(enum isolation i);
const char *service_state_name(enum service_state s);

// Providers that want to hear that a service which had lived will not come back by itself (it was
// stopped, or failed too often). With services_lock held; may sleep.
struct service_watcher {
	void (*gone)(struct service *s);
	struct service_watcher *next;
};
void service_watch(struct service_watcher *w); // boot; for good

// Commands of an administrator. -ENOENT: no such service; -EINVAL; -EBUSY: it cannot be reached
// now.
int service_kill(
	const char *name); // as a fault would: what is inside is thrown out, then it restarts
// Makes the service write to an address, with the privilege that it has: -EIO when that ended it. A
// privileged service may thereby destroy the system.
int service_poke(const char *name, u64 address);
int service_set_isolation(const char *name, enum isolation i); // stops it, and starts it so
int service_stop(const char *name);
int service_start(const char *name); // a stopped or failed one

// For tests: an address of a living service's data, or -ENOENT; and where services see the gate
// stubs.
s64 service_data_address(struct service *s);
u64 services_sentinels_sum(void); // over those words of all living services
u64 gate_stubs_address(void);

// Which services are to run, as command line and devices say; starts them. Boot thread, all CPUs
// up.
void services_boot(void);

// For reports: "core: page tables", "service virtio_blk: stack 2", "program memory". Any context.
// Returns buf.
const char *address_describe(u64 addr, char *buf, size_t cap);
