// SPDX-License-Identifier: MIT
// services.c owns /proc/halyard/services: the services, and commands to them. Privileged.
//
// Reading gives a line for each service behind a line of headings. Writing takes one command a
// line:
//	kill NAME, stop NAME, start NAME, privileged NAME, lowered NAME, isolated NAME
//	poke NAME TARGET	makes the service write where it must not (service.h): EIO is good
#include "base/string.h"
#include "core/gate.h"
#include "core/log.h"
#include "linux/cred.h"
#include "linux/proc/proc.h"
#include "linux/service.h"

int proc_show_services(struct text *t, struct node *n)
{
	struct service_status s;

	(void)n;
	text_puts(t,
		  "name class state memory_kb inside handles calls_in calls_out elevations refused "
		  "faults restarts restart_us quarantined_kb\n");
	for (u32 i = 0; service_status_get(i, &s); i++)
		text_printf(t, "%s %s %s %llu %u %llu %llu %llu %llu %llu %llu %llu %llu %llu\n",
			    s.name, isolation_name(s.isolation), service_state_name(s.state),
			    s.pages * (PAGE_SIZE / KiB), s.threads, s.handles, s.calls_in,
			    s.calls_out, s.elevations, s.refused, s.faults, s.restarts,
			    s.restart_ns / 1000, s.quarantined * (PAGE_SIZE / KiB));
	return 0;
}

// NAME TARGET
static int poke(char *name)
{
	char *target = strchr(name, ' ');

	if (!target)
		return -EINVAL;
	*target++ = 0;
	s64 address = test_target_address(target);

	return GATE_IS_ERROR(address) ? (int)address : service_poke(name, (u64)address);
}

static int command_run(const char *verb, char *name)
{
	if (!strcmp(verb, "poke"))
		return poke(name);
	if (!strcmp(verb, "kill"))
		return service_kill(name);
	if (!strcmp(verb, "stop"))
		return service_stop(name);
	if (!strcmp(verb, "start"))
		return service_start(name);
	for (u32 i = 0; i < ISOLATION_COUNT; i++)
		if (!strcmp(verb, isolation_name((enum isolation)i)))
			return service_set_isolation(name, (enum isolation)i);
	return -EINVAL;
}

ssize_t proc_store_services(struct node *n, char *data, size_t len)
{
	char *line = data, *end;

	(void)n;
	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	for (; *line; line = end) {
		end = line + strcspn(line, "\n");
		if (*end)
			*end++ = 0;
		if (!*line)
			continue;
		char *name = strchr(line, ' ');

		if (!name)
			return -EINVAL;
		*name++ = 0;
		int err = command_run(line, name);

		if (err)
			return err;
	}
	return (ssize_t)len;
}
