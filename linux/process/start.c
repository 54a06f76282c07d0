// SPDX-License-Identifier: MIT
// Owns the beginning: registers the personality with the core, and turns the first thread into
// init.
#include "base/cmdline.h"
#include "base/fmt.h"
#include "base/string.h"
#include "core/cmdline.h"
#include "core/init.h"
#include "core/log.h"
#include "core/personality.h"
#include "linux/file.h"
#include "linux/process/exec_priv.h"
#include "linux/process/vdso.h"
#include "linux/syscall_table.h"
#include "linux/syscalls.h"
#include <linux_arch/signal.h>

// ---- init's arguments and environment: what on the command line is nobody else's, as Linux passes
// it on ----

constexpr u32 INIT_STRINGS = 32;
static const char *init_argv[INIT_STRINGS + 2];
static const char *init_envp[INIT_STRINGS + 2] = {"HOME=/", "TERM=linux"};

// Keys that mean something to the kernel. With a dot they are some module's and never init's.
static bool kernel_key(const struct cmdline_arg *a)
{
	static const char *const keys[] = {
		"console",     "rdinit",      "init",	    "root",	   "ro",	"rw",
		"quiet",       "debug",	      "panic",	    "elevate",	   "loglevel",	"initrd",
		"maxcpus",     "nosmp",	      "mem",	    "earlyprintk", "earlycon",	"nokaslr",
		"mitigations", "clocksource", "tsc",	    "reboot",	   "acpi",	"pci",
		"noapic",      "nolapic",     "BOOT_IMAGE", "rootfstype",  "rootflags", "rootwait",
		"services"};
	for (u32 i = 0; i < ARRAY_SIZE(keys); i++)
		if (cmdline_key_is(a, keys[i]))
			return true;
	return memchr(a->key, '.', a->key_len) != nullptr;
}

static void init_arguments(const char *path)
{
	struct cmdline_iter it;
	struct cmdline_arg a;
	u32 argc = 0, envc = 2;
	init_argv[argc++] = path;
	cmdline_iter_init(&it, cmdline_text());
	while (cmdline_iter_next(&it, &a) > 0) {
		if (!a.for_init && kernel_key(&a))
			continue;
		bool env = a.value && !a.for_init;
		if (env ? envc > INIT_STRINGS : argc > INIT_STRINGS) {
			log_warn(
				"init: too many arguments on the command line; the rest is left out");
			break;
		}
		size_t len = a.key_len + 1 + (a.value ? a.value_len + 1 : 0);
		char *s = kmalloc(len);
		if (!s)
			panic("No memory for init's arguments.");
		memcpy(s, a.key, a.key_len);
		if (a.value) {
			s[a.key_len] = '=';
			memcpy(s + a.key_len + 1, a.value, a.value_len);
		}
		s[len - 1] = 0;
		if (!env) {
			init_argv[argc++] = s;
			continue;
		}
		u32 at = strncmp(s, "HOME=", 5) == 0 ? 0 : strncmp(s, "TERM=", 5) == 0 ? 1 : envc++;
		init_envp[at] = s;
	}
}

// ---- the first program ----

static void console_open(void)
{
	struct file *f = file_open_kernel("/dev/console", 2 /* O_RDWR */, 0);
	if (is_err(f)) {
		log_warn(
			"init: cannot open /dev/console (%s): the first program starts without standard files",
			errno_name(ptr_err(f)));
		return;
	}
	for (int i = 0; i < 3; i++)
		if (fd_install_new(i ? file_get(f) : f, 0) < 0)
			panic("init: no descriptors for /dev/console.");
}

static int try_exec(const char *path)
{
	init_argv[0] = path;
	int r = exec_path(path, init_argv, init_envp);
	if (r && r != -ENOENT)
		log_err("init: %s exists but cannot be executed: %s", path, errno_name(r));
	else if (!r)
		log_info("Run %s as init process", path);
	return r;
}

static void init_exec(void)
{
	const char *rdinit = cmdline_value("rdinit"), *init = cmdline_value("init");
	const char *first = rdinit && *rdinit ? rdinit : "/init";
	init_arguments(first);
	int r = try_exec(first);
	if (!r)
		return;
	const char *problem = initramfs_problem();
	if (init && *init) {
		if (!try_exec(init))
			return;
		panic("No working init: neither %s nor %s (init=) can be executed%s%s.", first,
		      init, problem ? "; " : "", problem ?: "");
	}
	static const char *const others[] = {"/sbin/init", "/etc/init", "/bin/init", "/bin/sh"};
	for (u32 i = 0; i < ARRAY_SIZE(others); i++)
		if (!try_exec(others[i]))
			return;
	panic("No working init found: tried %s (%s), /sbin/init, /etc/init, /bin/init and /bin/sh%s%s. Pass an initramfs (-initrd) with one of them, or rdinit=.",
	      first, errno_name(r), problem ? "; " : "", problem ?: "");
}

static struct task *first_task_create(void)
{
	struct task *t = task_alloc("init");
	struct process *p = process_alloc();
	struct session *s = kzalloc(sizeof(*s));
	if (!t || !p || !s)
		panic("No memory for the first process.");
	refcount_inc(&p->refs);
	t->process = p;
	t->cred = cred_get(&cred_kernel);
	t->altstack_flags = SS_DISABLE;
	t->timer_slack_ns = 50000;
	p->sighand = sighand_create();
	p->exit_signal = SIGCHLD;
	limits_init(p);
	refcount_set(&s->refs, 1);
	struct pgrp *g = pgrp_create(
		0,
		s); // init is in no session of its own until it calls setsid: group and session 0
	session_put(s);
	if (!p->sighand || !g)
		panic("No memory for the first process.");
	u32 pid;
	if (pid_alloc(&pid) || pid != 1)
		panic("The first process did not get the id 1.");
	t->thread.id = p->pid = pid;
	p->parent = p;
	tree_lock();
	pid_set_task(pid, t);
	pid_set_process(pid, p);
	pid_release_locked(pid);
	list_add_tail(&p->threads, &t->process_link);
	p->nthreads = 1;
	process_join_pgrp(p, g);
	tree_unlock();
	atomic_inc(&task_counter);
	atomic_inc(&t->cred->user->processes);
	init_process = p;
	return t;
}

// Runs in the first task, still in the kernel; returns into the program.
static void first_task_main(void *arg)
{
	struct task *t = arg;
	t->files = files_create();
	t->fs = fs_context_create();
	if (!t->files || !t->fs)
		panic("No memory for the first process.");
	initramfs_unpack();
	console_open();
	init_exec();
	arch_thread_enter_user();
}

void linux_start(void)
{
	struct task *t = first_task_create();
	arch_thread_init_kernel(&t->thread, first_task_main, t);
	thread_start(&t->thread);
}

// ---- registration ----

static long syscall_unknown(struct trap_frame *f, u64 nr)
{
	(void)f;
	return syscall_count_unknown(nr);
}

static struct personality linux_personality = {
	.name = "Linux",
	.syscalls = syscall_functions,
	.syscall_unknown = syscall_unknown,
	.syscall_enter = trace_call,
	.syscall_leave = trace_result,
	.fault = vm_fault,
	.exception = signal_exception,
	.exit_to_user = signal_handle,
	.tick = process_tick,
	.start = linux_start,
};

static void linux_register(void)
{
	slab_cache_init(&task_cache, "task", sizeof(struct task), 64);
	slab_cache_init(&process_cache, "process", sizeof(struct process), 64);
	signal_init_caches();
	futex_init();
	vdso_init();
	trace_init();
	linux_personality.nsyscalls = syscall_table_size();
	personality_register(&linux_personality);
}
INITCALL(4, linux_register);
