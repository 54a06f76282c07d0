// SPDX-License-Identifier: MIT
// seccomp_bpf.c: classic BPF, as seccomp has it: programs are checked once, then interpreted.
// Privileged.
//
// All jumps go forward, and the last instruction returns, so a program ends. Loads from its memory
// words are of words that were stored on every way there.
#include "linux/process/seccomp.h"
#include "base/errno.h"
#include "core/slab.h"

static bool is_known(const struct sock_filter *i)
{
	switch (i->code) {
	case BPF_LD | BPF_W | BPF_ABS:
		return !(i->k & 3) && i->k < sizeof(struct seccomp_data);
	case BPF_LD | BPF_W | BPF_LEN:
	case BPF_LDX | BPF_W | BPF_LEN:
	case BPF_LD | BPF_IMM:
	case BPF_LDX | BPF_IMM:
	case BPF_RET | BPF_K:
	case BPF_RET | BPF_A:
	case BPF_MISC | BPF_TAX:
	case BPF_MISC | BPF_TXA:
	case BPF_ALU | BPF_NEG:
	case BPF_JMP | BPF_JA:
		return true;
	case BPF_LD | BPF_MEM:
	case BPF_LDX | BPF_MEM:
	case BPF_ST:
	case BPF_STX:
		return i->k < BPF_MEMWORDS;
	case BPF_ALU | BPF_DIV | BPF_K:
		return i->k != 0;
	case BPF_ALU | BPF_LSH | BPF_K:
	case BPF_ALU | BPF_RSH | BPF_K:
		return i->k < 32;
	}
	u16 op = i->code & 0xf0;
	switch (i->code & 7) {
	case BPF_ALU:
		return !(i->code & 0xff00) &&
		       (op == BPF_ADD || op == BPF_SUB || op == BPF_MUL || op == BPF_OR ||
			op == BPF_AND || op == BPF_XOR ||
			((i->code & BPF_X) && (op == BPF_DIV || op == BPF_LSH || op == BPF_RSH)));
	case BPF_JMP:
		return !(i->code & 0xff00) &&
		       (op == BPF_JEQ || op == BPF_JGT || op == BPF_JGE || op == BPF_JSET);
	}
	return false;
}

// Which memory words hold something, by instruction: what holds on all ways that lead there.
static int memory_check(const struct sock_filter *program, u32 n)
{
	u16 *filled = kmalloc(n * sizeof(*filled));
	if (!filled)
		return -ENOMEM;
	for (u32 at = 0; at < n; at++)
		filled[at] = 0xffff;
	u16 now = 0;
	int r = 0;
	for (u32 at = 0; at < n && !r; at++) {
		const struct sock_filter *i = &program[at];
		now &= filled[at];
		switch (i->code) {
		case BPF_ST:
		case BPF_STX:
			now |= (u16)(1u << i->k);
			break;
		case BPF_LD | BPF_MEM:
		case BPF_LDX | BPF_MEM:
			r = now >> i->k & 1 ? 0 : -EINVAL;
			break;
		case BPF_JMP | BPF_JA:
			filled[at + 1 + i->k] &= now;
			now = 0xffff;
			break;
		default:
			if ((i->code & 7) == BPF_JMP) {
				filled[at + 1 + i->jt] &= now;
				filled[at + 1 + i->jf] &= now;
				now = 0xffff;
			}
		}
	}
	kfree(filled);
	return r;
}

int seccomp_program_check(const struct sock_filter *program, u32 n)
{
	if (!n || n > BPF_MAXINSNS)
		return -EINVAL;
	for (u32 at = 0; at < n; at++) {
		const struct sock_filter *i = &program[at];
		u32 left = n - at - 1;
		if (!is_known(i))
			return -EINVAL;
		if (i->code == (BPF_JMP | BPF_JA)
			    ? i->k >= left
			    : (i->code & 7) == BPF_JMP && (i->jt >= left || i->jf >= left))
			return -EINVAL;
	}
	if ((program[n - 1].code & 7) != BPF_RET)
		return -EINVAL;
	return memory_check(program, n);
}

struct machine {
	u32 a, x;
	u32 memory[BPF_MEMWORDS];
};

static u32 data_word(const struct seccomp_data *d, u32 offset)
{
	return ((const u32 *)d)[offset / 4];
}

// false: a division by zero.
static __wraps bool alu(struct machine *m, u16 op, u32 v)
{
	switch (op) {
	case BPF_ADD:
		m->a += v;
		break;
	case BPF_SUB:
		m->a -= v;
		break;
	case BPF_MUL:
		m->a *= v;
		break;
	case BPF_DIV:
		if (!v)
			return false;
		m->a /= v;
		break;
	case BPF_OR:
		m->a |= v;
		break;
	case BPF_AND:
		m->a &= v;
		break;
	case BPF_XOR:
		m->a ^= v;
		break;
	case BPF_LSH:
		m->a <<= v & 31;
		break;
	case BPF_RSH:
		m->a >>= v & 31;
		break;
	case BPF_NEG:
		m->a = 0 - m->a;
		break;
	}
	return true;
}

static bool jump_taken(u16 op, u32 a, u32 v)
{
	return op == BPF_JEQ ? a == v : op == BPF_JGT ? a > v : op == BPF_JGE ? a >= v : (a & v);
}

static void load_store(struct machine *m, const struct sock_filter *i, const struct seccomp_data *d)
{
	switch (i->code) {
	case BPF_LD | BPF_W | BPF_ABS:
		m->a = data_word(d, i->k);
		break;
	case BPF_LD | BPF_W | BPF_LEN:
		m->a = sizeof(*d);
		break;
	case BPF_LDX | BPF_W | BPF_LEN:
		m->x = sizeof(*d);
		break;
	case BPF_LD | BPF_IMM:
		m->a = i->k;
		break;
	case BPF_LDX | BPF_IMM:
		m->x = i->k;
		break;
	case BPF_LD | BPF_MEM:
		m->a = m->memory[i->k];
		break;
	case BPF_LDX | BPF_MEM:
		m->x = m->memory[i->k];
		break;
	case BPF_ST:
		m->memory[i->k] = m->a;
		break;
	case BPF_STX:
		m->memory[i->k] = m->x;
		break;
	case BPF_MISC | BPF_TAX:
		m->x = m->a;
		break;
	case BPF_MISC | BPF_TXA:
		m->a = m->x;
		break;
	}
}

u32 seccomp_program_run(const struct sock_filter *i, const struct seccomp_data *d)
{
	struct machine m = {};
	for (;; i++) {
		u16 op = i->code & 0xf0;
		u32 v = i->code & BPF_X ? m.x : i->k;
		switch (i->code & 7) {
		case BPF_RET:
			return i->code & BPF_A ? m.a : i->k;
		case BPF_ALU:
			if (!alu(&m, op, v))
				return 0;
			break;
		case BPF_JMP:
			i += op == BPF_JA ? i->k : jump_taken(op, m.a, v) ? i->jt : i->jf;
			break;
		default:
			load_store(&m, i, d);
		}
	}
}
