// SPDX-License-Identifier: MIT
// tree.c owns what procfs and sysfs have in common: nodes made from tables of entries, their
// directories, and generated texts. Privileged.
//
// Nothing exists before somebody looks for it. A lookup finds the entry among the directory's fixed
// children or asks its dynamic part, and makes a node. Nodes of the fixed tree stay in the
// directory cache for good: their number is bounded by the tables, and the next walk finds them
// without any lock. Nodes below processes and other dynamic children go with their last user.
//
// A process's node holds its struct process, not its life: when it has been reaped, revalidation
// throws the name away, and what is still open answers -ESRCH.
//
// A text is generated when it is read at position 0 and kept in the open file for the reads that
// follow, so that a program that reads by pieces sees one moment. Each open file has a lock of its
// own around that. It is the outermost of all, for making a text may drop the last reference to
// anything (a process ends while it is looked at), and what then ends takes locks of its own kind.
// So these files go without the lock of the position, which would be outside of it.
#include "linux/proc/tree.h"
#include "base/fmt.h"
#include "base/hash.h"
#include "base/parse.h"
#include "base/string.h"
#include "core/slab.h"
#include "linux/cred.h"

constexpr u32 CHILD_NAME_MAX = 32;
constexpr u64 FIXED_FIRST =
	2; // positions of listings: "." and "..", fixed children, then the others from here on
constexpr u64 DYNAMIC_FIRST = 4096;
constexpr size_t STORE_MAX = 4096; // bytes of one write

static struct slab_cache node_cache;
static const struct dentry_ops process_dentry_ops, passing_dentry_ops;
static const struct inode_ops dir_ops, guarded_dir_ops, file_inode_ops, guarded_file_ops, link_ops,
	jump_ops;
static const struct file_ops dir_file_ops, text_ops;

// ---- nodes ----

// Numbers that are the same at each lookup, so that listings and stat agree: a hash of the path.
static u64 node_ino(u64 dir_ino, const char *name, u32 len)
{
	u64 h = dir_ino;
	for (u32 at = 0; at < len; at += 8) {
		u64 word = 0;
		memcpy(&word, name + at, min(len - at, 8u));
		h = hash_combine(h, word);
	}
	return (h >> 16) | 2;
}

// Who owns a process's files: its effective ids, but root when it may not be looked at; its
// directory shows the ids in any case.
static void process_owner(struct node *n, u32 *uid, u32 *gid)
{
	struct task *t = process_any_task(n->process);
	*uid = *gid = 0;
	if (!t) {
		*uid = READ_ONCE(n->process->exit_uid);
		return;
	}
	// No reference to the space: it could be the last one, and its end sleeps, while a
	// directory may be locked here.
	spin_lock(&n->process->lock);
	bool shown =
		n->inode.mode == (S_IFDIR | 0555) || !t->thread.space || task_space(t)->dumpable;
	spin_unlock(&n->process->lock);
	if (shown) {
		const struct cred *c = task_cred_get(t);
		*uid = c->euid;
		*gid = c->egid;
		cred_put(c);
	}
	task_put(t);
}

static void node_refresh_owner(struct node *n)
{
	u32 uid, gid;
	if (!n->process)
		return;
	process_owner(n, &uid, &gid);
	n->inode.uid = uid;
	n->inode.gid = gid;
}

static void node_set_ops(struct node *n)
{
	const struct entry *e = n->entry;
	// Walks need not ask about directories that everybody may pass.
	bool guarded = n->process && !(e->mode & S_IXOTH);
	switch (e->mode & S_IFMT) {
	case S_IFDIR:
		n->inode.ops = guarded ? &guarded_dir_ops : &dir_ops;
		n->inode.file_ops = &dir_file_ops;
		n->inode.nlink = 2;
		for (const struct entry *c = e->children; c && c->name; c++)
			n->inode.nlink += S_ISDIR(c->mode);
		break;
	case S_IFLNK:
		n->inode.ops = e->jump ? &jump_ops : &link_ops;
		break;
	default:
		n->inode.ops = n->process ? &guarded_file_ops : &file_inode_ops;
		n->inode.file_ops = e->ops ?: &text_ops;
		break;
	}
}

// A node of e, in dir (nullptr: the root). Takes over nothing.
static struct node *node_create(struct super_block *sb, const struct node *dir,
				const struct entry *e, u64 ino)
{
	struct node *n = slab_zalloc(&node_cache);
	if (!n)
		return nullptr;
	inode_init(&n->inode, sb, e->mode);
	n->inode.ino = ino;
	n->entry = e;
	if (dir) {
		n->process = dir->process ? process_get(dir->process) : nullptr;
		n->tid = dir->tid;
		n->id = dir->id;
	}
	return n;
}

static void node_free_rcu(struct rcu_head *h)
{
	slab_free(&node_cache, container_of(h, struct node, inode.rcu));
}

static void tree_free_inode(struct inode *inode)
{
	rcu_call(&inode->rcu, node_free_rcu);
}

static void tree_evict(struct inode *inode)
{
	// The pointer stays: walks that still see the inode read the process's state, whose memory
	// outlives them too.
	if (inode_node(inode)->process)
		process_put(inode_node(inode)->process);
}

static int tree_statfs(struct super_block *sb, struct statfs_info *out)
{
	*out = (struct statfs_info){
		.type = sb->magic, .bsize = PAGE_SIZE, .frsize = PAGE_SIZE, .namelen = NAME_MAX};
	return 0;
}

static const struct super_ops tree_super_ops = {
	.evict_inode = tree_evict,
	.free_inode = tree_free_inode,
	.statfs = tree_statfs,
};

// ---- names ----

static bool name_is(const struct dentry *d, const char *name)
{
	return strlen(name) == d->len && memcmp(d->name, name, d->len) == 0;
}

static void child_name(const struct node *dir, u64 id, char *buf)
{
	const struct entry_dynamic *dyn = dir->entry->dynamic;
	if (dyn->name)
		dyn->name(dir, id, buf, CHILD_NAME_MAX);
	else
		snprintf(buf, CHILD_NAME_MAX, "%s%llu", dyn->prefix ?: "", id);
}

// The number that a name stands for: prefix and digits, without leading zeroes.
static bool name_parse(const struct entry_dynamic *dyn, const struct dentry *d, u64 *id)
{
	size_t skip = dyn->prefix ? strlen(dyn->prefix) : 0;
	if (d->len <= skip || memcmp(d->name, dyn->prefix ?: "", skip) != 0)
		return false;
	const char *digits = d->name + skip;
	size_t len = d->len - skip;
	if (len > 10 || (digits[0] == '0' && len > 1))
		return false;
	return parse_u64_prefix(digits, len, 10, id) == len;
}

static bool child_find(const struct node *dir, const struct dentry *d, u64 *id)
{
	const struct entry_dynamic *dyn = dir->entry->dynamic;
	char name[CHILD_NAME_MAX];
	if (!dyn->name) {
		u64 wanted;
		if (!name_parse(dyn, d, &wanted))
			return false;
		*id = wanted;
		return dyn->bind || (dyn->next(dir, id) && *id == wanted);
	}
	for (*id = 0; dyn->next(dir, id); ++*id) {
		child_name(dir, *id, name);
		if (name_is(d, name))
			return true;
	}
	return false;
}

static bool process_gone(const struct node *n)
{
	return n->process && READ_ONCE(n->process->state) == PROCESS_REAPED;
}

static bool process_revalidate(struct dentry *d)
{
	struct inode *i = load_acquire(&d->inode);
	return !i || !process_gone(inode_node(i));
}

// A number below a process: a descriptor or a thread, which may be another one by now.
static bool passing_revalidate(struct dentry *d)
{
	(void)d;
	return false;
}

static const struct dentry_ops process_dentry_ops = {.revalidate = process_revalidate};
static const struct dentry_ops passing_dentry_ops = {.revalidate = passing_revalidate};

static int tree_lookup(struct inode *inode, struct dentry *d)
{
	struct node *dir = inode_node(inode), *n;
	const struct entry *e = dir->entry->children;
	const struct entry_dynamic *dyn = dir->entry->dynamic;
	bool fixed = true;
	u64 id = 0;
	if (process_gone(dir))
		return -ENOENT;
	while (e && e->name && !name_is(d, e->name))
		e++;
	if (!e || !e->name) {
		if (!dyn || !child_find(dir, d, &id))
			return -ENOENT;
		e = dyn->entry;
		fixed = false;
	}
	n = node_create(inode->sb, dir, e, node_ino(inode->ino, d->name, d->len));
	if (!n)
		return -ENOMEM;
	if (!fixed) {
		n->id = id;
		if (dyn->bind && !dyn->bind(n)) {
			inode_put(&n->inode);
			return -ENOENT;
		}
	}
	node_set_ops(n);
	node_refresh_owner(n);
	bool stays = fixed &&
		     (dentry_is_root(d->parent) || (load_once(&d->parent->flags) & DENTRY_PINNED));
	if (n->process) {
		d->ops = fixed || !dir->process ? &process_dentry_ops : &passing_dentry_ops;
		d->flags |= DENTRY_REVALIDATE;
	}
	dentry_set_inode(d, &n->inode);
	if (stays) {
		__atomic_fetch_or(&d->flags, DENTRY_PINNED, __ATOMIC_RELAXED);
		dentry_get(d);
	}
	return 0;
}

// ---- listings ----

static u32 mode_type(u32 mode)
{
	return (mode & S_IFMT) >> 12;
}

static int tree_iterate(struct file *f, struct dir_context *ctx)
{
	struct node *dir = file_node(f);
	const struct entry *e = dir->entry->children;
	const struct entry_dynamic *dyn = dir->entry->dynamic;
	char name[CHILD_NAME_MAX];
	if (process_gone(dir))
		return -ENOENT;
	if (!dir_emit_dots(f, ctx))
		return 0;
	u64 i = 0;
	for (; e && e[i].name; i++) {
		u32 len = (u32)strlen(e[i].name);
		if (ctx->pos > (s64)(FIXED_FIRST + i))
			continue;
		if (!dir_emit(ctx, e[i].name, len, node_ino(f->inode->ino, e[i].name, len),
			      mode_type(e[i].mode)))
			return 0;
		ctx->pos = (s64)(FIXED_FIRST + i + 1);
	}
	if (!dyn)
		return 0;
	for (u64 id = (u64)max(ctx->pos, (s64)DYNAMIC_FIRST) - DYNAMIC_FIRST; dyn->next(dir, &id);
	     id++) {
		child_name(dir, id, name);
		u32 len = (u32)strlen(name);
		ctx->pos = (s64)(DYNAMIC_FIRST + id);
		if (!dir_emit(ctx, name, len, node_ino(f->inode->ino, name, len),
			      mode_type(dyn->entry->mode)))
			return 0;
		ctx->pos = (s64)(DYNAMIC_FIRST + id + 1);
	}
	return 0;
}

static s64 dir_lseek(struct file *f, s64 offset, int whence)
{
	if (whence == SEEK_CUR)
		offset += f->pos;
	else if (whence != SEEK_SET)
		return -EINVAL;
	return offset < 0 ? -EINVAL : (f->pos = offset);
}

static int dir_open(struct inode *inode, struct file *f)
{
	struct node *n = inode_node(inode);
	(void)f;
	return (n->entry->flags & ENTRY_PTRACE) && !process_may_access(n->process, true) ? -EACCES
											 : 0;
}

static const struct file_ops dir_file_ops = {
	.open = dir_open, .iterate = tree_iterate, .lseek = dir_lseek};

// ---- attributes ----

static int tree_getattr(struct inode *inode, struct kstat *st)
{
	struct node *n = inode_node(inode);
	if (n->process) {
		node_refresh_owner(n);
		st->uid = inode->uid;
		st->gid = inode->gid;
	}
	if (n->entry->nlink)
		st->nlink = n->entry->nlink(n);
	st->blksize = 1024;
	return 0;
}

// Truncation by open(O_TRUNC) and times change nothing; owners and modes are the kernel's.
static int tree_setattr(struct inode *inode, const struct attr_change *a)
{
	(void)inode;
	return a->mask & (ATTR_MODE | ATTR_UID | ATTR_GID) ? -EPERM : 0;
}

// What only the owner may touch, whoever that is by now. A process may always look at its own
// directories.
static int owner_permission(struct inode *inode, u32 mask, bool rcu)
{
	struct node *n = inode_node(inode);
	if (rcu)
		return -ECHILD;
	if (process_gone(n))
		return -ESRCH;
	node_refresh_owner(n);
	mask &= MAY_READ | MAY_WRITE | MAY_EXEC;
	if (S_ISDIR(inode->mode) && !(mask & MAY_WRITE) && current_is_task() &&
	    n->process == current_process())
		return 0;
	const struct cred *c = current_cred();
	u32 shift = c->fsuid == inode->uid ? 6 : cred_in_group(c, inode->gid) ? 3 : 0;
	if (!(mask & ~(inode->mode >> shift)))
		return 0;
	if (!(mask & MAY_WRITE) && capable(CAP_DAC_READ_SEARCH))
		return 0;
	return capable(CAP_DAC_OVERRIDE) ? 0 : -EACCES;
}

// ---- links ----

static const char *tree_get_link(struct inode *inode, struct link_buf *buf)
{
	struct node *n = inode_node(inode);
	if (process_gone(n))
		return err_ptr(-ESRCH);
	if ((n->entry->flags & ENTRY_PTRACE) && !process_may_access(n->process, true))
		return err_ptr(-EACCES);
	if (n->entry->link)
		return n->entry->link(n, buf);
	struct path p;
	int err = n->entry->jump(n, &p);
	if (err)
		return err_ptr(err);
	buf->big = kmalloc(PATH_MAX);
	char *text = buf->big ? d_path(&p, buf->big, PATH_MAX) : err_ptr(-ENOMEM);
	path_put(&p);
	return text;
}

static int tree_jump_link(struct inode *inode, struct path *out)
{
	struct node *n = inode_node(inode);
	if (process_gone(n))
		return -ENOENT;
	if ((n->entry->flags & ENTRY_PTRACE) && !process_may_access(n->process, true))
		return -EACCES;
	return n->entry->jump(n, out);
}

static const struct inode_ops dir_ops = {
	.lookup = tree_lookup, .getattr = tree_getattr, .setattr = tree_setattr};
static const struct inode_ops guarded_dir_ops = {.lookup = tree_lookup,
						 .getattr = tree_getattr,
						 .setattr = tree_setattr,
						 .permission = owner_permission};
static const struct inode_ops file_inode_ops = {.getattr = tree_getattr, .setattr = tree_setattr};
static const struct inode_ops guarded_file_ops = {
	.getattr = tree_getattr, .setattr = tree_setattr, .permission = owner_permission};
static const struct inode_ops link_ops = {
	.get_link = tree_get_link, .getattr = tree_getattr, .setattr = tree_setattr};
static const struct inode_ops jump_ops = {.get_link = tree_get_link,
					  .jump_link = tree_jump_link,
					  .getattr = tree_getattr,
					  .setattr = tree_setattr};

// ---- generated texts ----

int text_file_open(struct inode *inode, struct file *f)
{
	struct node *n = inode_node(inode);
	if (process_gone(n))
		return -ESRCH;
	if ((n->entry->flags & ENTRY_PTRACE) && !process_may_access(n->process, true))
		return -EACCES;
	struct text_file *tf = kzalloc(sizeof(*tf));
	if (!tf)
		return -ENOMEM;
	mutex_init(&tf->lock, LOCK_proc_text);
	f->private_data = tf;
	f->mode &= ~(u32)FILE_POS_LOCK;
	return 0;
}

void text_file_release(struct file *f)
{
	struct text_file *tf = f->private_data;
	text_free(&tf->text);
	kfree(tf);
}

static int text_generate(struct text_file *tf, struct node *n)
{
	if (!n->entry->show)
		return -EIO;
	if (process_gone(n))
		return -ESRCH;
	tf->text.len = 0;
	tf->text.failed = false;
	tf->made = false;
	int err = n->entry->show(&tf->text, n);
	if (!err && tf->text.failed)
		err = -ENOMEM;
	tf->made = !err;
	return err;
}

ssize_t text_file_read(struct file *f, struct io *io)
{
	struct text_file *tf = f->private_data;
	ssize_t n = 0;
	mutex_lock(&tf->lock);
	if (!io->pos || !tf->made)
		n = text_generate(tf, file_node(f));
	if (!n && (u64)io->pos < tf->text.len) {
		size_t len = min(io->left, tf->text.len - (size_t)io->pos);
		size_t done = io_copy_to(io, tf->text.buf + io->pos, len);
		io->pos += (s64)done;
		n = done || !len ? (ssize_t)done : -EFAULT;
	}
	mutex_unlock(&tf->lock);
	return n;
}

ssize_t text_file_write(struct file *f, struct io *io)
{
	struct node *n = file_node(f);
	size_t len = min(io->left, STORE_MAX - 1);
	if (!n->entry->store)
		return -EIO;
	if (process_gone(n))
		return -ESRCH;
	if (!len)
		return 0;
	char *data = kmalloc(STORE_MAX);
	if (!data)
		return -ENOMEM;
	ssize_t done = (ssize_t)io_copy_from(io, data, len);
	if ((size_t)done == len) {
		data[len] = 0;
		done = n->entry->store(n, data, len);
	} else {
		done = -EFAULT;
	}
	kfree(data);
	if (done > 0)
		io->pos += done;
	return done;
}

s64 text_file_lseek(struct file *f, s64 offset, int whence)
{
	return dir_lseek(f, offset, whence);
}

static const struct file_ops text_ops = {
	.open = text_file_open,
	.release = text_file_release,
	.read = text_file_read,
	.write = text_file_write,
	.lseek = text_file_lseek,
};

int store_parse_u64(const char *data, u64 *out)
{
	while (*data == ' ' || *data == '\t')
		data++;
	size_t len = parse_u64_prefix(data, strlen(data), 10, out);
	data += len;
	while (*data == ' ' || *data == '\t' || *data == '\n')
		data++;
	return len && !*data ? 0 : -EINVAL;
}

// ---- super blocks ----

static mutex_t slots_lock = MUTEX_INIT(slots_lock, LOCK_module_misc);

static struct super_block *super_create(const struct fs_type *type, const struct entry *root)
{
	struct super_block *sb = super_alloc(type, &tree_super_ops);
	if (!sb)
		return nullptr;
	struct node *n = node_create(sb, nullptr, root, 1);
	if (n) {
		node_set_ops(n);
		sb->root = dentry_alloc_root(sb, &n->inode);
	}
	if (!sb->root) {
		if (n)
			inode_put(&n->inode);
		super_put(sb);
		return nullptr;
	}
	return sb;
}

int tree_mount(const struct fs_type *type, const struct entry *root, struct super_block **slot,
	       struct super_block **out)
{
	mutex_lock(&slots_lock);
	if (!*slot)
		*slot = super_create(type, root);
	if (*slot)
		refcount_inc(&(*slot)->refs);
	mutex_unlock(&slots_lock);
	*out = *slot;
	return *out ? 0 : -ENOMEM;
}

void tree_init(void)
{
	slab_cache_init(&node_cache, "node", sizeof(struct node), 8);
}
