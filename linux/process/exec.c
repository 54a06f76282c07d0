// SPDX-License-Identifier: MIT
// Owns execve and execveat: a process begins a new program.
//
// Everything that can fail happens first and touches only what is being built: opening the file,
// following #! lines, reading the arguments, filling a new address space. Then all other threads of
// the process are made to end, and what remains cannot fail: the new space, credentials, signal
// actions and registers take the place of the old ones.
#include "linux/process/exec_priv.h"
#include "abi/linux/capability.h"
#include "abi/linux/fcntl.h"
#include "abi/linux/mount.h"
#include "abi/linux/personality.h"
#include "abi/linux/stat.h"
#include "base/fmt.h"
#include "base/string.h"
#include "core/cmdline.h"
#include "core/elevate.h"
#include "core/uaccess.h"
#include "linux/process/ptrace.h"
#include "linux/process/vdso.h"
#include "linux/syscalls.h"

constexpr u32 SCRIPT_DEPTH = 5;

struct file *exec_open(int dirfd, const char *name, u32 lookup_flags)
{
	struct path path;
	int r = path_lookup(dirfd, name, lookup_flags, &path);
	if (r)
		return err_ptr(r);
	struct inode *inode = path.dentry->inode;
	struct file *f;
	if (S_ISLNK(inode->mode))
		r = -ELOOP; // AT_SYMLINK_NOFOLLOW
	else if (!S_ISREG(inode->mode) || (path.mnt->flags & MS_NOEXEC))
		r = -EACCES;
	else
		r = inode_permission(inode, MAY_EXEC);
	if (!r)
		r = inode_deny_write(inode);
	if (r) {
		f = err_ptr(r);
	} else {
		f = file_open_exec(&path);
		if (is_err(f))
			inode_allow_write(inode);
	}
	path_put(&path);
	return f;
}

void exec_file_put(struct file *f)
{
	file_put(f); // the last one lets writers in again
}

static int head_read(struct exec *x)
{
	ssize_t n = file_read_kernel(x->file, 0, x->head, sizeof(x->head));
	if (n < 0)
		return (int)n;
	memset(x->head + n, 0, sizeof(x->head) - (size_t)n);
	x->head_len = (u32)n;
	return 0;
}

// One #! line: its interpreter (and at most one argument) come before the arguments so far.
static int script_line(struct exec *x, const char *script, u32 depth, char *interp,
		       size_t interp_cap)
{
	char line[sizeof(x->head)];
	memcpy(line, x->head, sizeof(line));
	char *p = line + 2, *end = memchr(line, '\n', x->head_len);
	bool whole = end || x->head_len < sizeof(line);
	if (!end)
		end = line + min((size_t)x->head_len, sizeof(line) - 1);
	*end = 0;
	while (*p == ' ' || *p == '\t')
		p++;
	size_t len = strcspn(p, " \t");
	if (!len || (!whole && p + len == end))
		return -ENOEXEC; // no interpreter, or a name that was cut
	char *arg = p + len;
	while (*arg == ' ' || *arg == '\t')
		*arg++ = 0;
	for (char *e = end; e > arg && (e[-1] == ' ' || e[-1] == '\t');)
		*--e = 0;
	if (len >= interp_cap)
		return -ENOEXEC;
	memcpy(interp, p, len);
	interp[len] = 0;
	// New prefix: interpreter, argument, and for the first script its own name in place of
	// argv[0].
	struct exec_args *a = &x->args;
	size_t arg_len = *arg ? strlen(arg) + 1 : 0, name_len = depth ? 0 : strlen(script) + 1;
	u32 total = (u32)(len + 1 + arg_len + name_len) + a->prefix_len;
	char *prefix = kmalloc(total);
	if (!prefix)
		return -ENOMEM;
	memcpy(prefix, interp, len + 1);
	memcpy(prefix + len + 1, arg, arg_len);
	memcpy(prefix + len + 1 + arg_len, script, name_len);
	memcpy(prefix + len + 1 + arg_len + name_len, a->prefix, a->prefix_len);
	kfree(a->prefix);
	a->prefix = prefix;
	a->prefix_len = total;
	a->argc += 1 + (arg_len != 0);
	if (!depth && a->argc_given) { // argv[0] goes, the script's name is there
		while (a->pages[a->skip / PAGE_SIZE][a->skip % PAGE_SIZE])
			a->skip++;
		a->skip++;
	} else if (!depth) {
		a->argc++;
	}
	return 0;
}

static int follow_scripts(struct exec *x, const char *script)
{
	for (u32 depth = 0;; depth++) {
		int r = head_read(x);
		if (r || x->head_len < 2 || x->head[0] != '#' || x->head[1] != '!')
			return r;
		if (depth == SCRIPT_DEPTH)
			return -ELOOP;
		char interp[sizeof(x->head)];
		r = script_line(x, script, depth, interp, sizeof(interp));
		if (r)
			return r;
		struct file *f = exec_open(AT_FDCWD_KERNEL, interp, LOOKUP_FOLLOW);
		if (is_err(f))
			return ptr_err(f);
		exec_file_put(x->file);
		x->file = f;
	}
}

static int new_credentials(struct exec *x)
{
	struct inode *inode = x->file->inode;
	x->cred = cred_prepare();
	if (!x->cred)
		return -ENOMEM;
	struct task *t = current_task();
	// Who traces it without the right to trace everybody gains nothing by it.
	bool watched = task_is_traced(t) && !t->tracing->capable;
	bool honoured = !(x->file->path.mnt->flags & MS_NOSUID) && !t->no_new_privs && !watched;
	bool setuid = honoured && (inode->mode & S_ISUID);
	bool setgid = honoured && (inode->mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP);
	cred_exec(x->cred, setuid, inode->uid, setgid, inode->gid, &x->secure);
	return 0;
}

static int space_build(struct exec *x)
{
	struct vm_space *s = vm_space_create();
	if (!s)
		return -ENOMEM;
	x->space = s;
	u64 as = rlimit(RLIMIT_AS);
	s->pages_mapped_limit = as == RLIM_INFINITY ? ~0ull : as >> PAGE_SHIFT;
	s->data_limit = rlimit(RLIMIT_DATA);
	s->stack_limit = rlimit(RLIMIT_STACK);
	s->dumpable = !x->secure;
	int r = exec_elf_load(x);
	if (!r)
		r = vdso_map(s);
	if (!r)
		r = exec_stack_build(x);
	if (!r)
		s->exe = file_get(x->file);
	return r;
}

// Makes the current task the only one of its process, with the process's id as its own. -EAGAIN: it
// is being killed itself.
static int take_over(struct process *p, struct task *t)
{
	spin_lock(&p->lock);
	if (p->group_exit || p->exec_task) {
		spin_unlock(&p->lock);
		return -EAGAIN;
	}
	if (!list_is_singular(&p->threads)) {
		p->exec_task = t;
		process_zap_others_locked(p);
		for (;;) {
			thread_prepare_sleep(THREAD_KILLABLE);
			if (list_is_singular(&p->threads) || p->group_exit)
				break;
			spin_unlock(&p->lock);
			schedule();
			spin_lock(&p->lock);
		}
		thread_finish_sleep();
		p->exec_task = nullptr;
	}
	bool dead = p->group_exit;
	spin_unlock(&p->lock);
	if (dead)
		return -EAGAIN;
	if (t->thread.id != p->pid) {
		tree_lock();
		pid_set_task(t->thread.id, nullptr);
		pid_set_task(p->pid, t);
		t->thread.id = p->pid;
		ptrace_exec_takes_tid_locked(t);
		tree_unlock();
	}
	return 0;
}

static void comm_set(struct thread *t, const char *path)
{
	const char *base = strrchr(path, '/');
	char name[sizeof(t->name)] = {};
	strscpy(name, base ? base + 1 : path, sizeof(name));
	memcpy(t->name, name, sizeof(name));
}

static void space_switch(struct task *t, struct vm_space *s)
{
	struct process *p = t->process;
	struct vm_space *old = task_space(t);
	spin_lock(&p->lock);
	t->thread.space = &s->mmu;
	mmu_space_activate(&s->mmu, VIEW_PROGRAM);
	if (old)
		p->dead_threads.maxrss_kib =
			max(p->dead_threads.maxrss_kib, vm_space_rss_peak(old) * (PAGE_SIZE / KiB));
	spin_unlock(&p->lock);
	vfork_complete(t);
	if (old)
		vm_space_put(old);
}

// May a program at this path elevate? Not under the eyes of a tracer, who could make it do what
// the program would not, and not for who has promised to gain nothing, or to do less.
static bool elevation_granted(const char *path)
{
	const char *granted;
	u32 cursor = 0;

	const struct task *t = current_task();
	if (task_is_traced(t) || t->no_new_privs || t->seccomp_mode)
		return false;
	while (cmdline_next("halyard.elevate", &cursor, &granted))
		if (!strcmp(granted, path))
			return true;
	return false;
}

// From here on the old program is gone.
static void commit(struct exec *x, struct sighand *fresh)
{
	struct task *t = current_task();
	struct process *p = t->process;
	futex_exec(t);
	rseq_exec(t);
	bool granted = elevation_granted(x->path);
	x->space->elevates = granted;
	space_switch(t, x->space);
	x->space = nullptr;
	elevate_exec(granted);
	arch_thread_exec();
	arch_thread_init_user(&t->thread, x->entry, x->sp);
	comm_set(&t->thread, x->path);
	t->clear_child_tid = t->set_child_tid = 0;
	t->altstack_sp = t->altstack_size = 0;
	t->altstack_flags = SS_DISABLE;
	t->restart.fn = nullptr;
	t->keep_caps = false;
	t->personality &= ~x->secure_personality_clear;
	atomic_store(&p->membarrier_registered, 0);
	posix_timers_exec(p);
	signal_exec_reset(p, fresh);
	files_close_on_exec();
	tree_lock();
	p->did_exec = true;
	p->exec_generation++;
	if (p->exit_signal)
		p->exit_signal = SIGCHLD;
	tree_unlock();
	cred_commit(x->cred);
	x->cred = nullptr;
}

// While one is under way nobody attaches: what the program may is decided at its beginning.
static void exec_counted(struct process *p, int change)
{
	spin_lock(&p->lock);
	p->execs_running += (u32)change;
	spin_unlock(&p->lock);
}

// The exec itself; x->file is open and x->args filled.
static int exec_run(struct exec *x, const char *script)
{
	struct task *t = current_task();
	struct process *p = t->process;
	struct sighand *fresh = nullptr;
	x->randomize = !(t->personality & ADDR_NO_RANDOMIZE);
	int r = follow_scripts(x, script);
	if (!r)
		r = new_credentials(x);
	if (!r)
		r = space_build(x);
	if (!r && t->files && refcount_read(&t->files->refs) > 1)
		r = files_unshare();
	if (!r && refcount_read(&p->sighand->refs) > 1) {
		fresh = sighand_copy(p);
		r = fresh ? 0 : -ENOMEM;
	}
	if (!r)
		r = take_over(p, t);
	if (r) {
		if (fresh)
			sighand_put(fresh);
		return r;
	}
	commit(x, fresh);
	return 0;
}

static void exec_destroy(struct exec *x)
{
	exec_args_destroy(&x->args);
	if (x->space)
		vm_space_put(x->space);
	if (x->cred)
		cred_abort(x->cred);
	if (x->file)
		exec_file_put(x->file);
	kfree(x);
}

static int exec_common(int dirfd, const char *path, u64 argv, u64 envp, int flags, bool kernel)
{
	struct exec *x = kzalloc(sizeof(*x));
	char fd_path[32];
	int r = -ENOMEM;
	if (!x)
		return r;
	u32 lookup = (flags & AT_SYMLINK_NOFOLLOW ? 0 : LOOKUP_FOLLOW) |
		     (flags & AT_EMPTY_PATH ? LOOKUP_EMPTY : 0);
	const char *name = path;
	if (dirfd != AT_FDCWD && path[0] != '/') { // how a script's interpreter can open it
		if (path[0])
			name = path;
		snprintf(fd_path, sizeof(fd_path), "/dev/fd/%d", dirfd);
		if (!path[0])
			name = fd_path;
	}
	struct file *f = exec_open(dirfd, path, lookup);
	if (is_err(f)) {
		r = ptr_err(f);
		goto out;
	}
	x->file = f;
	x->path = path[0] ? path : name;
	exec_args_init(&x->args);
	r = exec_args_add_vector(&x->args, argv, kernel, &x->args.argc);
	x->args.argc_given = x->args.argc;
	if (!r && !x->args.argc) { // Linux: an empty argv becomes one empty string
		x->args.argc = x->args.argc_given = 1;
		r = exec_args_add_kernel(&x->args, "");
	}
	x->args.env_offset = x->args.len;
	if (!r)
		r = exec_args_add_vector(&x->args, envp, kernel, &x->args.envc);
	x->args.name_offset = x->args.len;
	if (!r)
		r = exec_args_add_kernel(&x->args, name);
	u32 tid = current_tid();
	if (!r) {
		exec_counted(current_process(), 1);
		r = exec_run(x, name);
		exec_counted(current_process(), -1);
	}
	if (!r && unlikely(current_task()->tracing))
		ptrace_exec_done(tid);
out:
	exec_destroy(x);
	return r;
}

int exec_path(const char *path, const char *const *argv, const char *const *envp)
{
	return exec_common(AT_FDCWD, path, (uintptr_t)argv, (uintptr_t)envp, 0, true);
}

static long exec_user(int dirfd, const char __user *upath, u64 argv, u64 envp, int flags)
{
	char *path = kmalloc(PATH_MAX);
	if (!path)
		return -ENOMEM;
	ssize_t n = copy_string_from_user(path, upath, PATH_MAX);
	long r = n < 0 ? n
		 : n == 0 && !(flags & AT_EMPTY_PATH)
			 ? -ENOENT
			 : exec_common(dirfd, path, argv, envp, flags, false);
	kfree(path);
	return r;
}

SYSCALL(execve, const char __user *path, u64 argv, u64 envp)
{
	return exec_user(AT_FDCWD, path, argv, envp, 0);
}

SYSCALL(execveat, int dirfd, const char __user *path, u64 argv, u64 envp, int flags)
{
	if (flags & ~(AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW))
		return -EINVAL;
	return exec_user(dirfd, path, argv, envp, flags);
}
