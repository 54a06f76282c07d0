// SPDX-License-Identifier: MIT
// unix_name.c: the names of AF_UNIX sockets, abstract or in the tree, and who is bound to them.
// Privileged.
#include "linux/net/unix_priv.h"
#include "abi/linux/stat.h"
#include "base/fmt.h"
#include "base/hash.h"
#include "base/string.h"
#include "core/slab.h"

constexpr u32 TABLE_SIZE = 64;

static spinlock_t table_lock = SPINLOCK_INIT(LOCK_unix_table);
static struct hlist table[TABLE_SIZE]; // bound sockets, by abstract name or inode; table_lock

void unix_addr_put(struct unix_addr *a)
{
	if (refcount_dec_and_test(&a->refs))
		kfree(a);
}

struct unix_addr *unix_addr_get_of(struct unix_sock *u)
{
	if (!load_once(&u->addr))
		return nullptr;
	spin_lock(&table_lock);
	struct unix_addr *a = u->addr;
	if (a)
		refcount_inc(&a->refs);
	spin_unlock(&table_lock);
	return a;
}

static struct unix_addr *addr_create(const struct sockaddr_any *a, u32 len)
{
	struct unix_addr *n = kzalloc(sizeof(*n));

	if (!n)
		return nullptr;
	refcount_set(&n->refs, 1);
	n->len = len;
	memcpy(&n->sun, a, len);
	n->sun.family = AF_UNIX;
	return n;
}

static int addr_check(const struct sockaddr_any *a, u32 len)
{
	if (len < SUN_HEADER || len > SUN_HEADER + UNIX_PATH_MAX || a->family != AF_UNIX)
		return -EINVAL;
	return 0;
}

static bool is_abstract(const struct sockaddr_any *a)
{
	return !a->data[0];
}

static struct hlist *bucket_of_name(const struct sockaddr_any *a, u32 len)
{
	u64 h = len;

	for (u32 i = 0; i < len - SUN_HEADER; i++)
		h = h * 31 + a->data[i];
	return &table[hash_u64(h) % TABLE_SIZE];
}

static struct hlist *bucket_of_inode(const struct inode *i)
{
	return &table[hash_ptr(i) % TABLE_SIZE];
}

static struct unix_sock *find_name_locked(const struct sockaddr_any *a, u32 len, u16 type)
{
	struct unix_sock *u;

	hlist_for_each_entry(u, bucket_of_name(a, len), link)
		if (!u->path.dentry && u->sk.type == type && u->addr->len == len &&
		    !memcmp(u->addr->sun.data, a->data, len - SUN_HEADER))
			return u;
	return nullptr;
}

static struct unix_sock *find_inode_locked(const struct inode *i)
{
	struct unix_sock *u;

	hlist_for_each_entry(u, bucket_of_inode(i), link)
		if (u->path.dentry && u->path.dentry->inode == i)
			return u;
	return nullptr;
}

static struct unix_sock *find_abstract(const struct sockaddr_any *a, u32 len, u16 type)
{
	spin_lock(&table_lock);
	struct unix_sock *u = find_name_locked(a, len, type);
	if (u)
		unix_get(u);
	spin_unlock(&table_lock);
	return u ? u : err_ptr(-ECONNREFUSED);
}

static struct unix_sock *find_path(const char *name)
{
	struct unix_sock *u = nullptr;
	struct path p;
	int r = path_lookup(AT_FDCWD_KERNEL, name, LOOKUP_FOLLOW, &p);

	if (r)
		return err_ptr(r);
	struct inode *i = p.dentry->inode;
	r = inode_permission(i, MAY_WRITE);
	if (!r && S_ISSOCK(i->mode)) {
		spin_lock(&table_lock);
		u = find_inode_locked(i);
		if (u)
			unix_get(u);
		spin_unlock(&table_lock);
	}
	path_put(&p);
	return u ? u : err_ptr(r ? r : -ECONNREFUSED);
}

struct unix_sock *unix_find(const struct sockaddr_any *a, u32 len, u16 type)
{
	char name[UNIX_PATH_MAX + 1];
	int r = addr_check(a, len);

	if (r)
		return err_ptr(r);
	if (len == SUN_HEADER)
		return err_ptr(-EINVAL);
	if (is_abstract(a))
		return find_abstract(a, len, type);
	(void)strscpy_n(name, sizeof(name), (const char *)a->data,
			strnlen((const char *)a->data, len - SUN_HEADER));
	struct unix_sock *u = find_path(name);
	if (!is_err(u) && u->sk.type != type) {
		unix_put(u);
		return err_ptr(-EPROTOTYPE);
	}
	return u;
}

// Makes the name u's. Takes over addr and path, also on failure.
static int name_take(struct unix_sock *u, struct unix_addr *addr, const struct path *path)
{
	int r = 0;

	spin_lock(&table_lock);
	if (u->addr) {
		r = -EINVAL;
	} else if (!path && find_name_locked(&addr->sun, addr->len, u->sk.type)) {
		r = -EADDRINUSE;
	} else {
		store_release(&u->addr, addr);
		if (path)
			u->path = *path;
		hlist_add_head(path ? bucket_of_inode(path->dentry->inode)
				    : bucket_of_name(&addr->sun, addr->len),
			       &u->link);
	}
	spin_unlock(&table_lock);
	if (!r)
		return 0;
	unix_addr_put(addr);
	if (path)
		path_put(path);
	return r;
}

// A name of the kernel's choice: "\0" and five hexadecimal digits.
int unix_autobind(struct unix_sock *u)
{
	static atomic_u32 next;
	struct sockaddr_any a = {.family = AF_UNIX};
	int r = -EADDRINUSE;

	if (load_once(&u->addr))
		return 0;
	for (u32 tries = 0; r == -EADDRINUSE && tries < 1 << 20; tries++) {
		(void)snprintf((char *)a.data + 1, 6, "%05x", atomic_fetch_add(&next, 1) & 0xfffff);
		struct unix_addr *addr = addr_create(&a, SUN_HEADER + 6);
		r = addr ? name_take(u, addr, nullptr) : -ENOMEM;
	}
	return r;
}

static int bind_path(struct unix_sock *u, const struct sockaddr_any *a, u32 len)
{
	char name[UNIX_PATH_MAX + 1];
	struct sockaddr_any full = {.family = AF_UNIX};
	struct path p;
	size_t n = strnlen((const char *)a->data, len - SUN_HEADER);

	(void)strscpy_n(name, sizeof(name), (const char *)a->data, n);
	memcpy(full.data, name, n + 1);
	struct unix_addr *addr = addr_create(&full, SUN_HEADER + (u32)n + 1);
	if (!addr)
		return -ENOMEM;
	int r = load_once(&u->addr) ? -EINVAL : fs_bind_socket(name, 0777, &p);
	if (r) {
		unix_addr_put(addr);
		return r;
	}
	r = name_take(u, addr, &p);
	if (r) // somebody bound the socket meanwhile
		(void)fs_unlink(name);
	return r;
}

int unix_bind(struct socket *s, const struct sockaddr_any *a, u32 len)
{
	struct unix_sock *u = unix_of(s);
	int r = addr_check(a, len);

	if (r)
		return r;
	if (len == SUN_HEADER)
		return unix_autobind(u);
	if (!is_abstract(a))
		return bind_path(u, a, len);
	struct unix_addr *addr = addr_create(a, len);
	return addr ? name_take(u, addr, nullptr) : -ENOMEM;
}

int unix_name(struct socket *s, bool peer, struct sockaddr_any *out)
{
	struct unix_sock *u = unix_of(s), *p = nullptr;

	if (peer) {
		p = unix_peer_get(u);
		if (!p)
			return -ENOTCONN;
		u = p;
	}
	struct unix_addr *a = unix_addr_get_of(u);
	int len = SUN_HEADER;
	if (a) {
		len = (int)a->len;
		memcpy(out, &a->sun, sizeof(*out));
		unix_addr_put(a);
	} else {
		*out = (struct sockaddr_any){.family = AF_UNIX};
	}
	if (p)
		unix_put(p);
	return len;
}

void unix_name_release(struct unix_sock *u)
{
	struct path p;

	if (!load_once(&u->addr))
		return;
	spin_lock(&table_lock);
	if (!hlist_unhashed(&u->link))
		hlist_del(&u->link);
	p = u->path;
	u->path = (struct path){};
	spin_unlock(&table_lock);
	path_put(&p);
}
