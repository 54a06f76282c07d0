// SPDX-License-Identifier: MIT
// File systems that are tables: procfs and sysfs. Private to linux/.
//
// An entry is a row of a constant table: a name, a mode, and the functions behind it. A node is the
// inode made of an entry when somebody looks it up; below a process's directory it knows the
// process, and the number by which a directory of numbered children found it.
#pragma once
#include "abi/linux/fcntl.h"
#include "abi/linux/stat.h"
#include "linux/file.h"
#include "linux/fs.h"
#include "linux/proc/text.h"
#include "linux/task.h"

struct entry;

struct node {
	struct inode inode;	   // first
	const struct entry *entry; // immutable
	struct process *process;   // whose; counted until the inode is evicted; memory outlives RCU
				   // readers. nullptr: nobody's
	u32 tid;		   // below /proc/PID/task/TID; 0: the process as a whole
	u64 id;			   // what found it among numbered children; inherited
};

// Children of a directory that come and go, named by a number.
struct entry_dynamic {
	const struct entry *entry; // what each child is
	const char *prefix;	   // before the number; may be nullptr
	// The first child whose number is >= *id.
	bool (*next)(const struct node *dir, u64 *id);
	// Its name, when that is not prefix and decimal number.
	void (*name)(const struct node *dir, u64 id, char *buf, size_t cap);
	// Completes a new child (process, tid). false: there is none after all. Null: next alone
	// decides whether it exists.
	bool (*bind)(struct node *child);
};

enum entry_flags : u32 {
	ENTRY_PTRACE =
		1 << 0, // opening, listing or following it needs the right to look into the process
};

// The last row of a table has no name.
struct entry {
	const char *name;
	u32 mode;			     // S_IFMT and rights
	u32 flags;			     // enum entry_flags
	const struct entry *children;	     // directories: the fixed ones
	const struct entry_dynamic *dynamic; // directories: the others
	// Regular files: writes the whole content, 0 or an error. Called when the file is read from
	// its start.
	int (*show)(struct text *t, struct node *n);
	// What was written, NUL-terminated (and len bytes); the bytes used, or an error.
	ssize_t (*store)(struct node *n, char *data, size_t len);
	const struct file_ops *ops; // regular files that are no generated texts
	// Symbolic links: as in inode_ops.
	const char *(*link)(struct node *n, struct link_buf *buf);
	int (*jump)(struct node *n, struct path *out);
	u32 (*nlink)(
		struct node *n); // directories: for stat; Null: 2 and the fixed directories in it
};

static inline struct node *inode_node(const struct inode *i)
{
	return (struct node *)i;
}
static inline struct node *file_node(const struct file *f)
{
	return inode_node(f->inode);
}

// A mount of the one tree that the type has: *slot keeps its super block for good once it was made.
int tree_mount(const struct fs_type *type, const struct entry *root, struct super_block **slot,
	       struct super_block **out);
void tree_init(void);

// The operations of a generated text, for entries that add to them. A text's file has a struct
// text_file as private_data.
struct text_file {
	mutex_t lock; // LOCK_proc_text
	struct text text;
	bool made;
	u64 generation; // of what was shown last; the entry's own
};
int text_file_open(struct inode *inode, struct file *f);
void text_file_release(struct file *f);
ssize_t text_file_read(struct file *f, struct io *io);
ssize_t text_file_write(struct file *f, struct io *io);
s64 text_file_lseek(struct file *f, s64 offset, int whence);

// A written number: optional blanks around it; anything else is -EINVAL.
int store_parse_u64(const char *data, u64 *out);
