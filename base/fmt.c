// SPDX-License-Identifier: MIT
// fmt.c: printf-style formatting.
//
// One pass over the format: literal runs go to the sink as they are, each conversion is parsed into
// a `struct spec` and then produced as blanks, prefix, zeros, body, blanks.
#include "base/fmt.h"

#include "base/string.h"

struct spec {
	bool left;
	bool zero;
	bool plus;
	bool space;
	bool alternate;
	int width;
	int precision; // -1: none
	u8 size;       // bytes of the integer argument; 1 and 2 are promoted to int
	char conversion;
};

struct out {
	fmt_sink_fn *sink;
	void *ctx;
	size_t total;
};

static void emit(struct out *o, const char *text, size_t len)
{
	if (!len)
		return;
	o->sink(o->ctx, text, len);
	o->total += len;
}

static void emit_fill(struct out *o, char c, size_t count)
{
	char run[16];

	BASE_LIBC(memset)(run, c, sizeof(run));
	for (; count > sizeof(run); count -= sizeof(run))
		emit(o, run, sizeof(run));
	emit(o, run, count);
}

// Width and precision beyond any use are cut, so that sums stay in range.
constexpr int FIELD_MAX = 1 << 20;

static const char *parse_number(const char *f, int *number)
{
	int n = 0;

	for (; *f >= '0' && *f <= '9'; f++)
		n = min(n * 10 + (*f - '0'), FIELD_MAX);
	*number = n;
	return f;
}

static const char *parse_flags(const char *f, struct spec *s)
{
	for (;; f++) {
		switch (*f) {
		case '-':
			s->left = true;
			break;
		case '0':
			s->zero = true;
			break;
		case '+':
			s->plus = true;
			break;
		case ' ':
			s->space = true;
			break;
		case '#':
			s->alternate = true;
			break;
		default:
			return f;
		}
	}
}

static const char *parse_length(const char *f, struct spec *s)
{
	s->size = sizeof(int);
	switch (*f) {
	case 'h':
		if (f[1] == 'h') {
			s->size = 1;
			return f + 2;
		}
		s->size = 2;
		return f + 1;
	case 'l':
		if (f[1] == 'l') {
			s->size = sizeof(long long);
			return f + 2;
		}
		s->size = sizeof(long);
		return f + 1;
	case 'z':
		s->size = sizeof(size_t);
		return f + 1;
	case 't':
		s->size = sizeof(ptrdiff_t);
		return f + 1;
	case 'j':
		s->size = sizeof(intmax_t);
		return f + 1;
	}
	return f;
}

// Produces a field from its parts. Zeros stand between prefix and body.
static void emit_field(struct out *o, const struct spec *s, const char *prefix, size_t prefix_len,
		       size_t zeros, const char *body, size_t body_len)
{
	size_t len = prefix_len + zeros + body_len;
	size_t pad = (size_t)s->width > len ? (size_t)s->width - len : 0;

	if (!s->left)
		emit_fill(o, ' ', pad);
	emit(o, prefix, prefix_len);
	emit_fill(o, '0', zeros);
	emit(o, body, body_len);
	if (s->left)
		emit_fill(o, ' ', pad);
}

static void emit_integer(struct out *o, const struct spec *s, u64 value, bool negative)
{
	unsigned int base = 10;
	const char *digits = "0123456789abcdef";
	char buf[24], prefix[3];
	size_t at = sizeof(buf), prefix_len = 0;

	if (s->conversion == 'x' || s->conversion == 'X')
		base = 16;
	else if (s->conversion == 'o')
		base = 8;
	if (s->conversion == 'X')
		digits = "0123456789ABCDEF";
	for (u64 v = value; v; v /= base)
		buf[--at] = digits[v % base];
	if (at == sizeof(buf) && s->precision != 0)
		buf[--at] = '0';
	size_t body_len = sizeof(buf) - at, zeros = 0;

	if (negative)
		prefix[prefix_len++] = '-';
	else if (s->conversion == 'd' && (s->plus || s->space))
		prefix[prefix_len++] = s->plus ? '+' : ' ';
	if (s->alternate && base == 16 && value) {
		prefix[prefix_len++] = '0';
		prefix[prefix_len++] = s->conversion;
	}
	if (s->precision >= 0) {
		if ((size_t)s->precision > body_len)
			zeros = (size_t)s->precision - body_len;
	} else if (s->zero && !s->left && (size_t)s->width > prefix_len + body_len) {
		zeros = (size_t)s->width - prefix_len - body_len;
	}
	if (s->alternate && base == 8 && !zeros && (!body_len || buf[at] != '0'))
		zeros = 1;
	emit_field(o, s, prefix, prefix_len, zeros, buf + at, body_len);
}

static void emit_signed(struct out *o, struct spec *s, long long value)
{
	s->conversion = 'd';
	if (s->size == 1)
		value = (s8)value;
	else if (s->size == 2)
		value = (s16)value;
	emit_integer(o, s, value < 0 ? -(u64)value : (u64)value, value < 0);
}

static void emit_unsigned(struct out *o, const struct spec *s, u64 value)
{
	if (s->size < sizeof(u64))
		value &= BIT(s->size * 8) - 1;
	emit_integer(o, s, value, false);
}

static void emit_string(struct out *o, const struct spec *s, const char *text)
{
	if (!text)
		text = "(null)";
	size_t len = s->precision >= 0 ? BASE_LIBC(strnlen)(text, (size_t)s->precision)
				       : BASE_LIBC(strlen)(text);

	emit_field(o, s, nullptr, 0, 0, text, len);
}

static void emit_pointer(struct out *o, struct spec *s, const void *p)
{
	s->conversion = 'x';
	s->precision = 16;
	s->alternate = false;
	char buf[16];

	for (int i = 0; i < 16; i++)
		buf[i] = "0123456789abcdef"[(uintptr_t)p >> (60 - 4 * i) & 15];
	emit_field(o, s, "0x", 2, 0, buf, sizeof(buf));
}

// A va_list that can be handed down by reference on every ABI.
struct args {
	va_list list;
};

static u64 next_integer(struct args *a, u8 size, bool is_signed)
{
	if (size == sizeof(u64))
		return va_arg(a->list, u64);
	return is_signed ? (u64)va_arg(a->list, int) : va_arg(a->list, unsigned int);
}

// Produces one conversion; f is behind the '%'. Result: where the format goes on, or nullptr for
// a conversion that is not known, of which nothing was produced.
static const char *convert(struct out *o, const char *f, struct args *a)
{
	struct spec s = {.precision = -1};

	f = parse_flags(f, &s);
	if (*f == '*') {
		s.width = clamp(va_arg(a->list, int), -FIELD_MAX, FIELD_MAX);
		if (s.width < 0) {
			s.left = true;
			s.width = -s.width;
		}
		f++;
	} else {
		f = parse_number(f, &s.width);
	}
	if (*f == '.') {
		if (f[1] == '*') {
			s.precision = clamp(va_arg(a->list, int), -1, FIELD_MAX);
			f += 2;
		} else {
			f = parse_number(f + 1, &s.precision);
		}
	}
	f = parse_length(f, &s);
	s.conversion = *f;
	switch (*f) {
	case 'd':
	case 'i':
		emit_signed(o, &s, (long long)next_integer(a, s.size, true));
		break;
	case 'u':
	case 'x':
	case 'X':
	case 'o':
		emit_unsigned(o, &s, next_integer(a, s.size, false));
		break;
	case 'c': {
		char c = (char)va_arg(a->list, int);

		emit_field(o, &s, nullptr, 0, 0, &c, 1);
		break;
	}
	case 's':
		emit_string(o, &s, va_arg(a->list, const char *));
		break;
	case 'p':
		emit_pointer(o, &s, va_arg(a->list, const void *));
		break;
	case '%':
		emit(o, "%", 1);
		break;
	default:
		return nullptr;
	}
	return f + 1;
}

size_t fmt_vformat(fmt_sink_fn *sink, void *ctx, const char *format, va_list args)
{
	struct out o = {.sink = sink, .ctx = ctx};
	struct args a;
	const char *run = format;

	va_copy(a.list, args);
	while (*format) {
		if (*format != '%') {
			format++;
			continue;
		}
		emit(&o, run, (size_t)(format - run));
		run = format++;
		const char *behind = convert(&o, format, &a);

		if (behind)
			run = format = behind;
	}
	emit(&o, run, (size_t)(format - run));
	va_end(a.list);
	return o.total;
}

size_t fmt_format(fmt_sink_fn *sink, void *ctx, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	size_t n = fmt_vformat(sink, ctx, format, args);
	va_end(args);
	return n;
}

struct buffer {
	char *at;
	size_t left; // without the NUL
};

static void buffer_sink(void *ctx, const char *text, size_t len)
{
	struct buffer *b = ctx;
	size_t n = min(len, b->left);

	BASE_LIBC(memcpy)(b->at, text, n);
	b->at += n;
	b->left -= n;
}

int BASE_LIBC(vsnprintf)(char *buf, size_t size, const char *format, va_list args)
{
	char none;
	struct buffer b = {.at = size ? buf : &none, .left = size ? size - 1 : 0};
	size_t n = fmt_vformat(buffer_sink, &b, format, args);

	*b.at = '\0';
	return (int)min(n, (size_t)INT32_MAX);
}

int BASE_LIBC(snprintf)(char *buf, size_t size, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	int n = BASE_LIBC(vsnprintf)(buf, size, format, args);
	va_end(args);
	return n;
}

int vscnprintf(char *buf, size_t size, const char *format, va_list args)
{
	if (!size)
		return 0;
	size_t n = (size_t)BASE_LIBC(vsnprintf)(buf, size, format, args);

	return (int)min(n, size - 1);
}

int scnprintf(char *buf, size_t size, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	int n = vscnprintf(buf, size, format, args);
	va_end(args);
	return n;
}
