// SPDX-License-Identifier: MIT
// What the files of linux/net/ share.
#pragma once
#include "linux/socket.h"

struct socket *file_socket(struct file *f); // nullptr: not a socket
struct socket *socket_fd_get(
	int fd, struct fdref *ref); // or err_ptr(-EBADF, -ENOTSOCK), then without a reference
int sockaddr_from_user(struct sockaddr_any *a, const void __user *from, int len);
int sockaddr_to_user(const struct sockaddr_any *a, u32 len, void __user *to, s32 __user *ulen);
