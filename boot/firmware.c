// SPDX-License-Identifier: MIT
// Console, pages and tables of the firmware.
#include <stdarg.h>

#include "base/civil_time.h"
#include "boot/loader.h"

struct efi_system_table *efi;

void firmware_init(struct efi_system_table *table)
{
	efi = table;
	/* The firmware would otherwise reset the machine five minutes after the loader's start. */
	efi->boot->set_watchdog_timer(0, 0, 0, nullptr);
}

/* Collects UCS-2 so that the firmware, whose console is slow, is called once for many characters.
 */
struct line {
	efi_char text[128];
	unsigned len;
};

static void line_flush(struct line *line)
{
	line->text[line->len] = 0;
	efi->con_out->output_string(efi->con_out, line->text);
	line->len = 0;
}

static void line_put(struct line *line, char c)
{
	if (line->len + 3 > sizeof(line->text) / sizeof(line->text[0]))
		line_flush(line);
	if (c == '\n')
		line->text[line->len++] = u'\r';
	line->text[line->len++] = (c == '\n' || (c >= ' ' && c <= '~')) ? (efi_char)c : u'?';
}

static void line_put_number(struct line *line, uint64_t n, unsigned base)
{
	char digits[20];
	unsigned len = 0;

	do {
		digits[len++] = "0123456789abcdef"[n % base];
		n /= base;
	} while (n);
	while (len)
		line_put(line, digits[--len]);
}

void say(const char *format, ...)
{
	struct line line = {};
	va_list args;

	if (!efi->con_out)
		return;
	va_start(args, format);
	for (; *format; format++) {
		if (*format != '%') {
			line_put(&line, *format);
			continue;
		}
		switch (*++format) {
		case 's':
			for (const char *s = va_arg(args, const char *); *s; s++)
				line_put(&line, *s);
			break;
		case 'u':
			line_put_number(&line, va_arg(args, uint64_t), 10);
			break;
		case 'x':
			line_put_number(&line, va_arg(args, uint64_t), 16);
			break;
		default:
			line_put(&line, '%');
			if (!*format)
				format--;
		}
	}
	va_end(args);
	line_flush(&line);
}

void *pages_alloc(uint64_t len_bytes, uint64_t align)
{
	uint64_t pages = len_bytes / PAGE_SIZE + (len_bytes % PAGE_SIZE != 0);
	uint64_t slack = align > PAGE_SIZE ? align / PAGE_SIZE - 1 : 0;
	uint64_t base;

	if (pages == 0)
		pages = 1;
	if (efi->boot->allocate_pages(EFI_ALLOCATE_ANY_PAGES, EFI_LOADER_DATA, pages + slack,
				      &base))
		return nullptr;
	if (slack) {
		uint64_t start = align_up(base, align);
		uint64_t head = (start - base) / PAGE_SIZE;

		if (head)
			efi->boot->free_pages(base, head);
		if (slack > head)
			efi->boot->free_pages(start + pages * PAGE_SIZE, slack - head);
		base = start;
	}
	memset(at_phys(base), 0, pages * PAGE_SIZE);
	return at_phys(base);
}

void *firmware_table(const struct efi_guid *guid)
{
	for (uint64_t i = 0; i < efi->table_count; i++)
		if (memcmp(&efi->tables[i].guid, guid, sizeof(*guid)) == 0)
			return efi->tables[i].table;
	return nullptr;
}

bool firmware_time(int64_t *unix_s)
{
	struct efi_time t;
	struct civil_time civil;

	if (efi->runtime->get_time(&t, nullptr))
		return false;
	civil = (struct civil_time){.year = t.year,
				    .month = t.month,
				    .day = t.day,
				    .hour = t.hour,
				    .minute = t.minute,
				    .second = t.second};
	if (!civil_is_valid(&civil))
		return false;
	*unix_s = civil_to_unix(&civil);
	/* Clocks that do not say run by UTC on machines like these. */
	if (t.time_zone != EFI_UNSPECIFIED_TIMEZONE)
		*unix_s += t.time_zone * 60;
	return true;
}
