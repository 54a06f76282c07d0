// SPDX-License-Identifier: MIT
// init.c owns the order in which the parts of the file layer start. Privileged.
#include "linux/fs/fs_priv.h"
#include "core/init.h"

static void fs_init(void)
{
	dcache_init();
	inode_cache_init();
	file_cache_init();
	file_tables_init();
	pipe_init();
	tmpfs_init();
	mount_init();
	pseudo_init();
	memfd_init();
	devtmpfs_init();
}
INITCALL(1, fs_init); // drivers of the later levels register device nodes
