// SPDX-License-Identifier: MIT
// shm.c: System V shared memory: shmget, shmat, shmdt, shmctl. Privileged.
//
// A segment is a file of memory without a name. The table holds one reference of the file until
// the segment is removed (IPC_RMID); each area that maps it holds another. The file's end is the
// segment's: so one that is removed while attached goes with its last area, by shmdt, exit or exec.
// Until then its id still works, and its key does not.
//
// Areas are counted as they come and go, by the file's operations, in any way they do (fork,
// splitting by munmap or mprotect): the number of attachments is theirs, as on Linux.
#include "core/page.h"
#include "linux/file.h"
#include "linux/ipc/ipc_priv.h"
#include "linux/mm/mm.h"
#include "linux/proc/text.h"

struct shm {
	struct ipc_object o; // first
	struct file *file;   // immutable; its reference is the table's until SHM_DEST is set
	u64 size;	     // as asked for; immutable
	atomic_u64 nattch;
	atomic_s64 atime, dtime;
	s64 ctime; // table lock
	s32 cpid;  // immutable
	atomic_s32 lpid;
	const struct cred *locker; // SHM_LOCKED: whose locked_pages count it; counted; table lock
};

static struct ipc_ids ids = IPC_IDS_INIT(ids);
static u64 total_pages; // of all segments; table lock

u64 shm_max_bytes = ~0ull - (1 << 24), shm_max_pages = ~0ull - (1 << 24);
u32 shm_max_segments = 4096;

static u64 size_pages(u64 size)
{
	return size / PAGE_SIZE + !is_aligned(size, PAGE_SIZE);
}

// ---- a segment's life ----

static void touched(struct shm *s, atomic_s64 *time)
{
	atomic_store(time, ipc_now());
	atomic_store(&s->lpid, current_is_task() ? (s32)current_pid() : 0);
}

static void shm_mapped(struct file *f)
{
	struct shm *s = f->private_data;
	atomic_inc(&s->nattch);
	touched(s, &s->atime);
}

static void shm_unmapped(struct file *f)
{
	struct shm *s = f->private_data;
	atomic_dec(&s->nattch);
	touched(s, &s->dtime);
}

static void unlock_pages(struct shm *s)
{
	if (!s->locker)
		return;
	atomic_sub(&s->locker->user->locked_pages, (s64)size_pages(s->size));
	cred_put(s->locker);
	s->locker = nullptr;
	s->o.mode &= ~SHM_LOCKED;
}

// The last reference of the file is gone: nobody has it attached, and it was removed.
static void shm_release(struct file *f)
{
	struct shm *s = f->private_data;
	mutex_lock(&ids.lock);
	ipc_remove(&ids, &s->o);
	total_pages -= size_pages(s->size);
	unlock_pages(s);
	mutex_unlock(&ids.lock);
	kfree(s);
}

static const struct file_ops shm_ops = {
	.release = shm_release, .mapped = shm_mapped, .unmapped = shm_unmapped};

static struct ipc_object *shm_make(const void *args, s32 key, u32 flags)
{
	u64 size = *(const u64 *)args, pages = size_pages(size), total;
	if (!size || size > load_once(&shm_max_bytes))
		return err_ptr(-EINVAL);
	if (pages > INT64_MAX / PAGE_SIZE || __builtin_add_overflow(total_pages, pages, &total) ||
	    total > load_once(&shm_max_pages))
		return err_ptr(-ENOSPC);
	if (flags & SHM_HUGETLB)
		return err_ptr(-ENOMEM); // there is no pool of huge pages
	struct shm *s = kzalloc(sizeof(*s));
	if (!s)
		return err_ptr(-ENOMEM);
	struct file *f = shm_file_create_sysv((u32)key, pages * PAGE_SIZE);
	if (is_err(f)) {
		kfree(s);
		return err_cast(f);
	}
	f->ops = &shm_ops;
	f->private_data = s;
	s->file = f;
	s->size = size;
	s->ctime = ipc_now();
	s->cpid = (s32)current_pid();
	total_pages = total;
	return &s->o;
}

static void shm_unmake(struct ipc_object *o)
{
	struct shm *s = (struct shm *)o;
	total_pages -= size_pages(s->size);
	s->file->mode &= ~(u32)FILE_OPENED; // its release would look for it in the table
	file_put(s->file);
	kfree(s);
}

static void shm_made(struct ipc_object *o)
{
	((struct shm *)o)->file->inode->ino = (u64)o->id; // what /proc/PID/maps shows
}

static int shm_check(struct ipc_object *o, const void *args)
{
	return ((struct shm *)o)->size < *(const u64 *)args ? -EINVAL : 0;
}

static const struct ipc_kind kind = {.ids = &ids,
				     .limit = &shm_max_segments,
				     .make = shm_make,
				     .unmake = shm_unmake,
				     .made = shm_made,
				     .check = shm_check};

SYSCALL(shmget, s32 key, u64 size, u32 flags)
{
	return ipc_get(&kind, key, flags, &size);
}

// ---- attaching ----

// A reference of the segment's file; the table's lock is held. A file whose count is 0 waits for
// this lock to take its segment out.
static struct file *file_of(struct shm *s)
{
	return refcount_inc_not_zero(&s->file->refs) ? s->file : err_ptr(-EIDRM);
}

static int attach_args(struct vm_map_args *a, u64 addr, u32 flags)
{
	if (addr & (PAGE_SIZE - 1)) {
		if (!(flags & SHM_RND))
			return -EINVAL;
		addr &= ~(PAGE_SIZE - 1);
		if (!addr && (flags & SHM_REMAP))
			return -EINVAL;
	}
	if (!addr && (flags & SHM_REMAP))
		return -EINVAL;
	*a = (struct vm_map_args){
		.addr = addr,
		.prot = PROT_READ | (flags & SHM_RDONLY ? 0 : PROT_WRITE) |
			(flags & SHM_EXEC ? PROT_EXEC : 0),
		.max_prot = PROT_READ | PROT_EXEC | (flags & SHM_RDONLY ? 0 : PROT_WRITE),
		.flags = VM_SHARED | (!addr		  ? 0
				      : flags & SHM_REMAP ? VM_FIXED
							  : VM_FIXED_NOREPLACE),
	};
	return 0;
}

static struct file *attach_find(s32 id, u32 flags)
{
	u32 rights = flags & SHM_RDONLY ? 0444 : 0666;
	mutex_lock(&ids.lock);
	struct ipc_object *o = ipc_find(&ids, id);
	int r = is_err(o) ? ptr_err(o) : ipc_permit(o, rights | (flags & SHM_EXEC ? 0111 : 0));
	struct file *f = r ? err_ptr(r) : file_of((struct shm *)o);
	mutex_unlock(&ids.lock);
	return f;
}

SYSCALL(shmat, s32 id, u64 addr, u32 flags)
{
	struct vm_map_args a;
	u64 out;
	int r = attach_args(&a, addr, flags);
	if (r)
		return r;
	struct file *f = attach_find(id, flags);
	if (is_err(f))
		return ptr_err(f);
	a.len = ((struct shm *)f->private_data)->size;
	a.object = f->inode->object;
	a.file = f;
	r = vm_map(current_space(), &a, &out);
	file_put(f);
	if (r == -EEXIST)
		r = -EINVAL;
	return r ? r : (long)out;
}

// Does a belong to an attachment that begins at addr?
static bool attached_at(const struct vm_area *a, u64 addr)
{
	return a->file && a->file->ops == &shm_ops && a->start - addr == a->offset;
}

static long detach_locked(struct vm_space *space, u64 addr)
{
	struct file *f = nullptr;
	u64 end = USER_TOP;
	long r = -EINVAL;
	for (struct vm_area *a = vm_area_find_next(space, addr), *next; a && a->start < end;
	     a = next) {
		u64 start = a->start, stop = a->end;
		if (attached_at(a, addr) && (!f || a->file == f)) {
			if (!f) { // it may go with its last area: a reference until the end
				f = file_get(a->file);
				end = addr +
				      size_pages(((struct shm *)f->private_data)->size) * PAGE_SIZE;
			}
			r = unmap_locked(space, start, stop);
			if (r)
				break;
		}
		next = vm_area_find_next(space, stop);
	}
	if (f)
		file_put(f);
	return r;
}

SYSCALL(shmdt, u64 addr)
{
	struct vm_space *space = current_space();
	if (addr & (PAGE_SIZE - 1))
		return -EINVAL;
	write_lock(&space->lock);
	long r = detach_locked(space, addr);
	write_unlock(&space->lock);
	return r;
}

// ---- control ----

static void stat_fill(const struct shm *s, struct shmid64_ds *out)
{
	*out = (struct shmid64_ds){
		.segsz = s->size,
		.atime = atomic_load(&s->atime),
		.dtime = atomic_load(&s->dtime),
		.ctime = s->ctime,
		.cpid = s->cpid,
		.lpid = atomic_load(&s->lpid),
		.nattch = atomic_load(&s->nattch),
	};
	ipc_perm_fill(&s->o, &out->perm);
}

static long shm_stat(s32 id, u32 cmd, struct shmid64_ds __user *uout)
{
	struct shmid64_ds out;
	bool by_index = cmd != IPC_STAT;
	mutex_lock(&ids.lock);
	struct ipc_object *o = ipc_find_stat(&ids, id, by_index, cmd == SHM_STAT_ANY);
	long r = is_err(o) ? ptr_err(o) : by_index ? o->id : 0;
	if (r >= 0)
		stat_fill((struct shm *)o, &out);
	// One that was removed goes with its last area, just after that was counted.
	if (r >= 0 && (out.perm.mode & SHM_DEST) && !out.nattch)
		r = -EINVAL;
	mutex_unlock(&ids.lock);
	return r >= 0 && copy_to_user(uout, &out, sizeof(out)) ? -EFAULT : r;
}

static long shm_ipc_info(struct shminfo64 __user *uout)
{
	struct shminfo64 out = {.shmmax = load_once(&shm_max_bytes),
				.shmmin = 1,
				.shmmni = load_once(&shm_max_segments),
				.shmseg = load_once(&shm_max_segments),
				.shmall = load_once(&shm_max_pages)};
	mutex_lock(&ids.lock);
	long r = ipc_max_index(&ids);
	mutex_unlock(&ids.lock);
	return copy_to_user(uout, &out, sizeof(out)) ? -EFAULT : r;
}

static u64 pages_present(const struct shm *s)
{
	return load_once(&s->file->inode->object->npages);
}

static long shm_used_info(struct shm_info __user *uout)
{
	struct shm_info out = {};
	mutex_lock(&ids.lock);
	long r = ipc_max_index(&ids);
	out.used_ids = (s32)ids.used;
	out.shm_tot = total_pages;
	for (long i = 0; i <= r; i++) {
		struct ipc_object *o = ipc_at(&ids, (u64)i);
		out.shm_rss += o ? pages_present((struct shm *)o) : 0;
	}
	mutex_unlock(&ids.lock);
	return copy_to_user(uout, &out, sizeof(out)) ? -EFAULT : r;
}

// Nothing is ever swapped; what is left of locking is whom it is charged to.
static int lock_locked(struct shm *s)
{
	const struct cred *c = current_cred();
	u64 limit = rlimit(RLIMIT_MEMLOCK) / PAGE_SIZE;
	s64 pages = (s64)size_pages(s->size);
	if (s->locker)
		return 0;
	if (!capable(CAP_IPC_LOCK)) {
		if (c->euid != s->o.uid && c->euid != s->o.cuid)
			return -EPERM;
		if (!limit)
			return -EPERM;
		if ((u64)(atomic_load(&c->user->locked_pages) + pages) > limit)
			return -ENOMEM;
	}
	atomic_add(&c->user->locked_pages, pages);
	s->locker = cred_get(c);
	s->o.mode |= SHM_LOCKED;
	return 0;
}

static int unlock_locked(struct shm *s)
{
	u32 euid = current_cred()->euid;
	if (!capable(CAP_IPC_LOCK) && euid != s->o.uid && euid != s->o.cuid)
		return -EPERM;
	unlock_pages(s);
	return 0;
}

// *drop: the table's reference of a segment that was removed.
static int change_locked(struct shm *s, u32 cmd, const struct shmid64_ds *in, struct file **drop)
{
	if (cmd == SHM_LOCK)
		return lock_locked(s);
	if (cmd == SHM_UNLOCK)
		return unlock_locked(s);
	int r = ipc_owner(&s->o);
	if (r)
		return r;
	if (cmd == IPC_SET) {
		r = ipc_set(&s->o, &in->perm);
		if (!r)
			s->ctime = ipc_now();
		return r;
	}
	if (!(s->o.mode & SHM_DEST)) {
		s->o.mode |= SHM_DEST;
		ipc_hide(&ids, &s->o);
		*drop = s->file;
	}
	return 0;
}

static long shm_change(s32 id, u32 cmd, const struct shmid64_ds *in)
{
	struct file *drop = nullptr;
	mutex_lock(&ids.lock);
	struct ipc_object *o = ipc_find(&ids, id);
	long r = is_err(o) ? ptr_err(o) : change_locked((struct shm *)o, cmd, in, &drop);
	mutex_unlock(&ids.lock);
	if (drop)
		file_put(drop);
	return r;
}

SYSCALL(shmctl, s32 id, u32 cmd, void __user *arg)
{
	struct shmid64_ds in;
	if (id < 0)
		return -EINVAL;
	switch (cmd) {
	case IPC_INFO:
		return shm_ipc_info(arg);
	case SHM_INFO:
		return shm_used_info(arg);
	case IPC_STAT:
	case SHM_STAT:
	case SHM_STAT_ANY:
		return shm_stat(id, cmd, arg);
	case IPC_SET:
		if (copy_from_user(&in, arg, sizeof(in)))
			return -EFAULT;
		return shm_change(id, cmd, &in);
	case IPC_RMID:
	case SHM_LOCK:
	case SHM_UNLOCK:
		return shm_change(id, cmd, nullptr);
	default:
		return -EINVAL;
	}
}

void shm_show(struct text *t)
{
	text_puts(t,
		  "       key      shmid perms                  size  cpid  lpid nattch   uid   gid"
		  "  cuid  cgid      atime      dtime      ctime                   rss"
		  "                  swap\n");
	mutex_lock(&ids.lock);
	for (u32 i = 0; i < IPC_IDS_MAX; i++) {
		struct shm *s = (struct shm *)ipc_at(&ids, i);
		if (!s)
			continue;
		struct shmid64_ds d;
		stat_fill(s, &d);
		text_printf(t, "%10d %10d  %4o %21llu %5u %5u  %5llu %5u %5u %5u %5u ", d.perm.key,
			    s->o.id, d.perm.mode, d.segsz, (u32)d.cpid, (u32)d.lpid, d.nattch,
			    d.perm.uid, d.perm.gid, d.perm.cuid, d.perm.cgid);
		text_printf(t, "%10lld %10lld %10lld %21llu %21u\n", d.atime, d.dtime, d.ctime,
			    pages_present(s) * PAGE_SIZE, 0);
	}
	mutex_unlock(&ids.lock);
}
