// SPDX-License-Identifier: MIT
// Owns /proc/sys: what can be read about limits and names of this kernel, and the few of them that
// can be changed.
//
// A value that stands here is one that the kernel keeps to. What is a constant of this kernel is
// read-only.
#include "base/fmt.h"
#include "base/string.h"
#include "core/cmdline.h"
#include "core/log.h"
#include "core/page.h"
#include "linux/random.h"
#include "linux/block.h"
#include "linux/cred.h"
#include "linux/ipc.h"
#include "linux/misc/uname.h"
#include "linux/notify.h"
#include "linux/proc/proc.h"

// ---- kernel ----

static int show_ostype(struct text *t, struct node *n)
{
	(void)n;
	text_printf(t, "%s\n", uname_sysname);
	return 0;
}

static int show_osrelease(struct text *t, struct node *n)
{
	(void)n;
	text_printf(t, "%s\n", uname_release());
	return 0;
}

static int show_version(struct text *t, struct node *n)
{
	(void)n;
	text_printf(t, "%s\n", uname_version);
	return 0;
}

static int show_name(struct text *t, enum uts_name which)
{
	char name[UTS_LEN];
	uts_name_get(which, name);
	text_printf(t, "%s\n", name);
	return 0;
}

static int show_hostname(struct text *t, struct node *n)
{
	(void)n;
	return show_name(t, UTS_HOSTNAME);
}

static int show_domainname(struct text *t, struct node *n)
{
	(void)n;
	return show_name(t, UTS_DOMAINNAME);
}

// A line's first word; as with Linux, what is too long is cut.
static ssize_t store_name(enum uts_name which, char *data, size_t len)
{
	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	data[strcspn(data, "\n")] = 0;
	uts_name_set(which, data, min(strlen(data), (size_t)UTS_LEN - 1));
	return (ssize_t)len;
}

static ssize_t store_hostname(struct node *n, char *data, size_t len)
{
	(void)n;
	return store_name(UTS_HOSTNAME, data, len);
}

static ssize_t store_domainname(struct node *n, char *data, size_t len)
{
	(void)n;
	return store_name(UTS_DOMAINNAME, data, len);
}

static int show_rt_period(struct text *t, struct node *n)
{
	(void)n;
	text_u64(t, SCHED_RT_PERIOD_US, '\n');
	return 0;
}

static int show_rt_runtime(struct text *t, struct node *n)
{
	(void)n;
	text_u64(t, SCHED_RT_RUNTIME_US, '\n');
	return 0;
}

static int show_pid_max(struct text *t, struct node *n)
{
	(void)n;
	text_u64(t, pid_max(), '\n');
	return 0;
}

static ssize_t store_pid_max(struct node *n, char *data, size_t len)
{
	u64 max;
	(void)n;
	int err = store_parse_u64(data, &max);
	if (!err)
		err = max > PID_MAX_LIMIT ? -EINVAL : pid_set_max((u32)max);
	return err ?: (ssize_t)len;
}

// Tasks take a number each; memory is what really bounds them.
static int show_threads_max(struct text *t, struct node *n)
{
	struct page_stats s;
	(void)n;
	page_stats_read(&s);
	text_u64(t, min((u64)pid_max(), s.total / 8),
		 '\n'); // a task's stack and structures take 8 pages
	return 0;
}

static int show_printk(struct text *t, struct node *n)
{
	(void)n;
	text_printf(t, "%u\t%u\t1\t7\n", log_console_level(), (u32)LOG_WARN);
	return 0;
}

static ssize_t store_printk(struct node *n, char *data, size_t len)
{
	u64 level;
	(void)n;
	data[strcspn(data, "\t ")] = 0; // the other three cannot be changed
	int err = store_parse_u64(data, &level);
	if (!err && (level < 1 || level > 15))
		err = -EINVAL;
	if (!err)
		log_set_console_level((u32)level);
	return err ?: (ssize_t)len;
}

static int show_panic(struct text *t, struct node *n)
{
	const char *value = cmdline_value("panic");
	(void)n;
	text_printf(t, "%s\n", value && *value ? value : "0");
	return 0;
}

static void uuid_print(struct text *t, const u8 id[16])
{
	for (u32 i = 0; i < 16; i++)
		text_printf(t, i == 4 || i == 6 || i == 8 || i == 10 ? "-%02x" : "%02x", id[i]);
	text_putc(t, '\n');
}

static void uuid_make(u8 id[16])
{
	random_bytes(id, 16);
	id[6] = (u8)((id[6] & 0x0f) | 0x40); // version 4
	id[8] = (u8)((id[8] & 0x3f) | 0x80); // the variant of RFC 4122
}

static int show_uuid(struct text *t, struct node *n)
{
	u8 id[16];
	(void)n;
	uuid_make(id);
	uuid_print(t, id);
	return 0;
}

static int show_boot_id(struct text *t, struct node *n)
{
	static u8 boot_id[16];
	static bool made;
	static mutex_t lock = MUTEX_INIT(lock, LOCK_module_misc);
	(void)n;
	mutex_lock(&lock);
	if (!made)
		uuid_make(boot_id);
	made = true;
	mutex_unlock(&lock);
	uuid_print(t, boot_id);
	return 0;
}

static int show_entropy_avail(struct text *t, struct node *n)
{
	(void)n;
	text_puts(t, random_ready() ? "256\n" : "0\n");
	return 0;
}

// Rows whose value is a constant of this kernel.
#define CONSTANT(function, value)                           \
	static int function(struct text *t, struct node *n) \
	{                                                   \
		(void)n;                                    \
		text_puts(t, value "\n");                   \
		return 0;                                   \
	}
CONSTANT(show_poolsize, "256")
CONSTANT(show_0, "0")
CONSTANT(show_2, "2")
CONSTANT(show_core_pattern, "")
CONSTANT(show_overflow_id, "65534")
CONSTANT(show_ngroups_max, "65536")
CONSTANT(show_nr_open, "524288")
CONSTANT(show_file_max, "9223372036854775807")
CONSTANT(show_pipe_max_size, "1048576")
CONSTANT(show_somaxconn, "4096")
CONSTANT(show_max_map_count, "65530")
static_assert(NGROUPS_MAX == 65536);

static int show_cap_last_cap(struct text *t, struct node *n)
{
	(void)n;
	text_u64(t, CAP_COUNT - 1, '\n');
	return 0;
}

// ---- numbers that can be changed ----

static ssize_t store_u32(u32 *value, const char *data, size_t len, u64 least, u64 max)
{
	u64 n;
	int err = store_parse_u64(data, &n);
	if (!err && (n < least || n > max))
		err = -EINVAL;
	if (!err)
		store_once(value, (u32)n);
	return err ?: (ssize_t)len;
}

#define NUMBER(name, variable, max) NUMBER_FROM(name, variable, 0, max)
#define NUMBER_FROM(name, variable, least, max)                             \
	static int show_##name(struct text *t, struct node *n)              \
	{                                                                   \
		(void)n;                                                    \
		text_u64(t, load_once(&(variable)), '\n');                  \
		return 0;                                                   \
	}                                                                   \
	static ssize_t store_##name(struct node *n, char *data, size_t len) \
	{                                                                   \
		(void)n;                                                    \
		return store_u32(&(variable), data, len, least, max);       \
	}
#define NUMBER_ENTRY(file, name) {file, S_IFREG | 0644, .show = show_##name, .store = store_##name}

NUMBER(msgmax, msg_max_bytes, MiB)
NUMBER(msgmnb, msg_max_queue_bytes, INT32_MAX)
NUMBER(msgmni, msg_max_queues, IPC_IDS_MAX)
NUMBER(shmmni, shm_max_segments, IPC_IDS_MAX)

static ssize_t store_u64(u64 *value, const char *data, size_t len)
{
	u64 n;
	int err = store_parse_u64(data, &n);
	if (!err)
		store_once(value, n);
	return err ?: (ssize_t)len;
}

static int show_shmmax(struct text *t, struct node *n)
{
	(void)n;
	text_u64(t, load_once(&shm_max_bytes), '\n');
	return 0;
}

static ssize_t store_shmmax(struct node *n, char *data, size_t len)
{
	(void)n;
	return store_u64(&shm_max_bytes, data, len);
}

static int show_shmall(struct text *t, struct node *n)
{
	(void)n;
	text_u64(t, load_once(&shm_max_pages), '\n');
	return 0;
}

static ssize_t store_shmall(struct node *n, char *data, size_t len)
{
	(void)n;
	return store_u64(&shm_max_pages, data, len);
}

// Semaphores of a set, of all sets, operations of a call, sets.
static u32 *const sem_limits[] = {&sem_max_per_set, &sem_max_total, &sem_max_ops, &sem_max_sets};
static const u32 sem_limits_max[] = {65535, 1024000000, 500, IPC_IDS_MAX};

static int show_sem(struct text *t, struct node *n)
{
	(void)n;
	for (u32 i = 0; i < 4; i++)
		text_u64(t, load_once(sem_limits[i]), i < 3 ? '\t' : '\n');
	return 0;
}

// As many numbers as are given, from the first; none is changed when one is not good.
static ssize_t store_sem(struct node *n, char *data, size_t len)
{
	u64 values[4];
	u32 given = 0;
	(void)n;
	for (char *at = data + strspn(data, " \t\n"); *at && given < 4; given++) {
		size_t word = strcspn(at, " \t\n"), gap = strspn(at + word, " \t\n");
		bool end = !at[word];
		at[word] = 0;
		int err = store_parse_u64(at, &values[given]);
		if (err || values[given] > sem_limits_max[given])
			return -EINVAL;
		at += end ? word : word + gap;
	}
	for (u32 i = 0; i < given; i++)
		store_once(sem_limits[i], (u32)values[i]);
	return given ? (ssize_t)len : -EINVAL;
}

static const struct entry random_entries[] = {
	{"boot_id", S_IFREG | 0444, .show = show_boot_id},
	{"entropy_avail", S_IFREG | 0444, .show = show_entropy_avail},
	{"poolsize", S_IFREG | 0444, .show = show_poolsize},
	{"uuid", S_IFREG | 0444, .show = show_uuid},
	{},
};

static const struct entry kernel_entries[] = {
	{"cap_last_cap", S_IFREG | 0444, .show = show_cap_last_cap},
	{"core_pattern", S_IFREG | 0444, .show = show_core_pattern}, // no core dumps
	{"domainname", S_IFREG | 0644, .show = show_domainname, .store = store_domainname},
	{"hostname", S_IFREG | 0644, .show = show_hostname, .store = store_hostname},
	NUMBER_ENTRY("msgmax", msgmax),
	NUMBER_ENTRY("msgmnb", msgmnb),
	NUMBER_ENTRY("msgmni", msgmni),
	{"ngroups_max", S_IFREG | 0444, .show = show_ngroups_max},
	{"osrelease", S_IFREG | 0444, .show = show_osrelease},
	{"ostype", S_IFREG | 0444, .show = show_ostype},
	{"overflowgid", S_IFREG | 0444, .show = show_overflow_id},
	{"overflowuid", S_IFREG | 0444, .show = show_overflow_id},
	{"panic", S_IFREG | 0444, .show = show_panic},
	{"pid_max", S_IFREG | 0644, .show = show_pid_max, .store = store_pid_max},
	{"printk", S_IFREG | 0644, .show = show_printk, .store = store_printk},
	{"random", S_IFDIR | 0555, .children = random_entries},
	{"sched_rt_period_us", S_IFREG | 0444, .show = show_rt_period},
	{"sched_rt_runtime_us", S_IFREG | 0444, .show = show_rt_runtime},
	{"randomize_va_space", S_IFREG | 0444, .show = show_2},
	{"sem", S_IFREG | 0644, .show = show_sem, .store = store_sem},
	{"shmall", S_IFREG | 0644, .show = show_shmall, .store = store_shmall},
	{"shmmax", S_IFREG | 0644, .show = show_shmmax, .store = store_shmmax},
	NUMBER_ENTRY("shmmni", shmmni),
	{"tainted", S_IFREG | 0444, .show = show_0},
	{"threads-max", S_IFREG | 0444, .show = show_threads_max},
	{"version", S_IFREG | 0444, .show = show_version},
	{},
};

// 1: clean pages of the page cache; 2: dentries and inodes, which go by themselves; 3: both.
static ssize_t store_drop_caches(struct node *n, char *data, size_t len)
{
	u64 what;
	(void)n;
	int err = store_parse_u64(data, &what);
	if (!err && (what < 1 || what > 4))
		err = -EINVAL;
	if (!err && what & 1)
		block_cache_drop();
	return err ?: (ssize_t)len;
}

static const struct entry vm_entries[] = {
	{"drop_caches", S_IFREG | 0200, .store = store_drop_caches},
	{"max_map_count", S_IFREG | 0444, .show = show_max_map_count},
	{"overcommit_memory", S_IFREG | 0444,
	 .show = show_0}, // a mapping is refused only when memory could never hold it
	{"swappiness", S_IFREG | 0444, .show = show_0}, // there is no swap
	{},
};

NUMBER(inotify_events, inotify_max_events, INT32_MAX)
NUMBER(inotify_instances, inotify_max_instances, INT32_MAX)
NUMBER(inotify_watches, inotify_max_watches, INT32_MAX)

static const struct entry inotify_entries[] = {
	NUMBER_ENTRY("max_queued_events", inotify_events),
	NUMBER_ENTRY("max_user_instances", inotify_instances),
	NUMBER_ENTRY("max_user_watches", inotify_watches),
	{},
};

// As mq_overview(7) bounds them.
NUMBER_FROM(mq_msg_default, mqueue_default_messages, 1, 65536)
NUMBER_FROM(mq_msg_max, mqueue_max_messages, 1, 65536)
NUMBER_FROM(mq_msgsize_default, mqueue_default_size, 128, 16 * MiB)
NUMBER_FROM(mq_msgsize_max, mqueue_max_size, 128, 16 * MiB)
NUMBER(mq_queues_max, mqueue_max_queues, INT32_MAX)

static const struct entry mqueue_entries[] = {
	NUMBER_ENTRY("msg_default", mq_msg_default),
	NUMBER_ENTRY("msg_max", mq_msg_max),
	NUMBER_ENTRY("msgsize_default", mq_msgsize_default),
	NUMBER_ENTRY("msgsize_max", mq_msgsize_max),
	NUMBER_ENTRY("queues_max", mq_queues_max),
	{},
};

static const struct entry fs_entries[] = {
	{"file-max", S_IFREG | 0444, .show = show_file_max},
	{"inotify", S_IFDIR | 0555, .children = inotify_entries},
	{"mqueue", S_IFDIR | 0555, .children = mqueue_entries},
	{"nr_open", S_IFREG | 0444, .show = show_nr_open},
	{"pipe-max-size", S_IFREG | 0444, .show = show_pipe_max_size},
	{},
};

static const struct entry net_core_entries[] = {
	{"somaxconn", S_IFREG | 0444, .show = show_somaxconn},
	{},
};
static const struct entry net_entries[] = {
	{"core", S_IFDIR | 0555, .children = net_core_entries},
	{},
};

const struct entry proc_sys_entries[] = {
	{"fs", S_IFDIR | 0555, .children = fs_entries},
	{"kernel", S_IFDIR | 0555, .children = kernel_entries},
	{"net", S_IFDIR | 0555, .children = net_entries},
	{"vm", S_IFDIR | 0555, .children = vm_entries},
	{},
};
