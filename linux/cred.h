// SPDX-License-Identifier: MIT
// Credentials: user and group ids, capabilities, and the per-user accounts. Privileged.
//
// A struct cred is immutable once a task carries it; a change makes a copy and installs that. A
// thread reads its own credentials without any lock; those of others are taken by task_cred_get.
#pragma once
#include "base/atomic.h"
#include "base/list.h"
#include "base/types.h"
#include "core/rcu.h"
#include "core/thread.h"

struct task;

// What one user id holds in total, for the limits that count by user. Lives as long as a credential
// names it.
struct user_account {
	refcount_t refs;
	u32 uid;		// immutable
	struct hlist_node link; // the table's lock
	atomic_s64 processes;	// tasks (RLIMIT_NPROC)
	atomic_s64 sigpending;	// queued signals (RLIMIT_SIGPENDING)
	atomic_s64 pipe_pages;
	atomic_s64 locked_pages;
	atomic_s64 unix_inflight;
	atomic_s64 epoll_watches;
	atomic_s64 mqueue_bytes; // RLIMIT_MSGQUEUE
	atomic_s64 inotify_instances, inotify_watches;
};

constexpr u32 NGROUPS_MAX = 65536;
struct group_list { // immutable; sorted
	refcount_t refs;
	u32 n;
	u32 gid[];
};

struct cred {
	refcount_t refs;
	u32 uid, gid, suid, sgid, euid, egid, fsuid, fsgid;
	u32 securebits;
	u64 cap_inheritable, cap_permitted, cap_effective, cap_bset,
		cap_ambient;	   // bit n: capability n
	struct group_list *groups; // nullptr: none
	struct user_account *user; // of uid
	struct rcu_head rcu;
};

enum capability {
	CAP_CHOWN,
	CAP_DAC_OVERRIDE,
	CAP_DAC_READ_SEARCH,
	CAP_FOWNER,
	CAP_FSETID,
	CAP_KILL,
	CAP_SETGID,
	CAP_SETUID,
	CAP_SETPCAP,
	CAP_LINUX_IMMUTABLE,
	CAP_NET_BIND_SERVICE,
	CAP_NET_BROADCAST,
	CAP_NET_ADMIN,
	CAP_NET_RAW,
	CAP_IPC_LOCK,
	CAP_IPC_OWNER,
	CAP_SYS_MODULE,
	CAP_SYS_RAWIO,
	CAP_SYS_CHROOT,
	CAP_SYS_PTRACE,
	CAP_SYS_PACCT,
	CAP_SYS_ADMIN,
	CAP_SYS_BOOT,
	CAP_SYS_NICE,
	CAP_SYS_RESOURCE,
	CAP_SYS_TIME,
	CAP_SYS_TTY_CONFIG,
	CAP_MKNOD,
	CAP_LEASE,
	CAP_AUDIT_WRITE,
	CAP_AUDIT_CONTROL,
	CAP_SETFCAP,
	CAP_MAC_OVERRIDE,
	CAP_MAC_ADMIN,
	CAP_SYSLOG,
	CAP_WAKE_ALARM,
	CAP_BLOCK_SUSPEND,
	CAP_AUDIT_READ,
	CAP_PERFMON,
	CAP_BPF,
	CAP_CHECKPOINT_RESTORE,
	CAP_COUNT,
};
constexpr u64 CAP_ALL = (1ull << CAP_COUNT) - 1;

extern struct cred
	cred_kernel; // root with everything; kernel threads and the first program. Never freed

const struct cred *current_cred(
	void); // of this thread; kernel threads: cred_kernel. Valid until this thread changes it
static inline const struct cred *cred_get(const struct cred *c)
{
	refcount_inc((refcount_t *)&c->refs);
	return c;
}
void cred_put(const struct cred *c); // any context that holds no lock above user accounts
const struct cred *task_cred_get(struct task *t); // another thread's, with a reference

// A private copy of the current credentials to change: refs = 1, or nullptr. Then cred_commit
// (cannot fail) or cred_abort.
[[nodiscard]] struct cred *cred_prepare(void);
void cred_commit(struct cred *c);
void cred_abort(struct cred *c);
int cred_set_user(struct cred *c, u32 uid); // uid and its account: 0 or -ENOMEM (nothing changed)

bool cred_has_cap(const struct cred *c, enum capability cap);
bool capable(enum capability cap);		    // of the current thread
bool cred_in_group(const struct cred *c, u32 gid);  // fsgid or a supplementary group
bool cred_in_egroup(const struct cred *c, u32 gid); // egid or a supplementary group
static inline bool current_in_group(u32 gid)
{
	return cred_in_group(current_cred(), gid);
}

// For the time of an access(2)-like check: pretends that fs ids and effective capabilities are the
// real user's. Returns the credentials to give back to cred_restore; nullptr when memory is out.
[[nodiscard]] const struct cred *cred_override_real(void);
void cred_restore(const struct cred *old);
