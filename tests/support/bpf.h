/*
 * Classic BPF as a listening socket runs it: the kernel's check of a program
 * and an interpreter for the instructions a SYN filter may use. The packet is
 * a network header followed by a TCP header; offset 0 is the TCP header.
 */
#ifndef TESTS_BPF_H
#define TESTS_BPF_H

#include "support/expect.h"

#include <linux/filter.h>

#include "base/addr.h"

struct bpf_packet {
	uint8_t network[40], tcp[20];
	uint32_t network_len;
};

/* A SYN from a, as it is on the wire. */
static inline void
bpf_packet_init(struct bpf_packet *p, const struct addr *source)
{
	memset(p, 0xa5, sizeof(*p)); /* nothing else may matter */
	p->tcp[13] = 0x02;
	if (source->family == ADDR_IPV4) {
		p->network_len = 20;
		p->network[0] = 0x45;
		memcpy(p->network + 12, source->ip, 4);
	} else {
		p->network_len = 40;
		p->network[0] = 0x6a; /* some traffic class */
		memcpy(p->network + 8, source->ip, 16);
	}
}

/* What bpf_check_classic() of the kernel asks, for our instructions. */
static inline void
bpf_check(const struct sock_filter *insns, size_t n)
{
	assert_u64_between(n, 1, 4096);
	for (size_t i = 0; i < n; i++) {
		const struct sock_filter *f = &insns[i];

		if (BPF_CLASS(f->code) == BPF_JMP &&
		    BPF_OP(f->code) == BPF_JA && f->k >= n - i - 1)
			fail_msg("instruction %zu jumps out", i);
		if (BPF_CLASS(f->code) == BPF_JMP &&
		    BPF_OP(f->code) != BPF_JA &&
		    (i + f->jt + 1 >= n || i + f->jf + 1 >= n))
			fail_msg("instruction %zu jumps out", i);
	}
	assert_i64(BPF_CLASS(insns[n - 1].code), BPF_RET);
}

/* Big-endian bytes at k; false out of the packet. */
static inline bool
bpf_load(const struct bpf_packet *p, uint32_t k, unsigned size, uint32_t *value)
{
	const uint8_t *from = p->tcp;
	uint32_t len = sizeof(p->tcp);

	if ((int32_t)k < 0) {
		k -= (uint32_t)SKF_NET_OFF;
		from = p->network;
		len = p->network_len;
	}
	if (k > len || size > len - k)
		return false;
	*value = 0;
	for (unsigned i = 0; i < size; i++)
		*value = *value << 8 | from[k + i];
	return true;
}

/* The program's result; *steps (if any) counts instructions. */
static inline uint32_t
bpf_run(const struct sock_filter *insns, size_t n, const struct bpf_packet *p,
    unsigned *steps)
{
	uint32_t a = 0;
	unsigned unused;

	if (steps == NULL)
		steps = &unused;
	*steps = 0;
	for (size_t pc = 0; pc < n; pc++) {
		const struct sock_filter *f = &insns[pc];

		(*steps)++;
		switch (f->code) {
		case BPF_LD | BPF_B | BPF_ABS:
		case BPF_LD | BPF_W | BPF_ABS:
			if (!bpf_load(p, f->k,
				BPF_SIZE(f->code) == BPF_B ? 1 : 4, &a))
				return 0;
			break;
		case BPF_ALU | BPF_AND | BPF_K:
			a &= f->k;
			break;
		case BPF_JMP | BPF_JA:
			pc += f->k;
			break;
		case BPF_JMP | BPF_JEQ | BPF_K:
			pc += a == f->k ? f->jt : f->jf;
			break;
		case BPF_JMP | BPF_JGE | BPF_K:
			pc += a >= f->k ? f->jt : f->jf;
			break;
		case BPF_RET | BPF_K:
			return f->k;
		default:
			fail_msg("instruction %zu: code 0x%02x", pc,
			    (unsigned)f->code);
		}
	}
	fail_msg("ran off the end");
	return 0;
}

#endif
