/*
 * Compiles a security group's ranges to classic BPF.
 *
 * Sorted, merged ranges are a list of bounds at which the answer flips:
 * allowed from range[0].from on, denied from range[0].to + 1 on, and so on.
 * An address is looked up by 32-bit words, the only size BPF loads. At each
 * word the bounds give cuts, the stretches between two cuts have one outcome
 * (allow, drop, or "equal so far: look at the next word"), and a balanced tree
 * of comparisons finds the stretch. IPv4 is the case of one word.
 *
 * BPF jumps only forward, so the program is written from its end: whatever an
 * instruction jumps to is already there, and its distance is known.
 */
#include "nlb/syn_filter.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <netinet/in.h>

#define RESULT_DROP 0
#define RESULT_PASS 0xffffffffu
#define JUMP_MAX 255 /* what jt and jf can hold */

/* From the network header. */
#define VERSION_OFFSET 0
#define IPV4_SOURCE_OFFSET 12
#define IPV6_SOURCE_OFFSET 8
/* From the TCP header, where the kernel's filter sees the packet begin. */
#define TCP_FLAGS_OFFSET 13
#define TCP_FLAG_SYN 0x02
#define TCP_FLAG_ACK 0x10

/*
 * A place to jump to: an instruction's number counted from the end of the
 * program (the last one is 1), or one of the two outcomes.
 */
enum { LABEL_DROP = -2, LABEL_PASS = -1 };

struct bound {
	uint32_t word[4]; /* host order */
};

struct compiler {
	struct sock_filter
	    insns[SYN_FILTER_INSNS_MAX]; /* filled from the end */
	int n;
	int error;  /* 0, -E2BIG or -ENOMEM: the first one stays */
	int ret[2]; /* nearest RET: [0] drop, [1] pass; 0 = none yet */
	const struct bound *bounds; /* of the family being compiled */
	int n_words;
	uint32_t source_offset;
};

/* A stretch between two cuts: bounds[lo, hi) lie inside and share this word;
 * lo == hi: none do, and the answer is that of bounds[lo - 1]. */
struct stretch {
	size_t lo, hi;
};

/* One word's cuts: stretch[i] ends where cut[i] begins. */
struct level {
	uint32_t *cuts;
	struct stretch *stretches; /* n_cuts + 1 */
	size_t n_cuts;
	int word;
};

/* Adds one instruction before all others; returns its label. */
static int
emit(struct compiler *c, struct sock_filter insn)
{
	if (c->n == SYN_FILTER_INSNS_MAX) {
		c->error = c->error != 0 ? c->error : -E2BIG;
		return c->n;
	}
	c->n++;
	c->insns[SYN_FILTER_INSNS_MAX - c->n] = insn;
	return c->n;
}

/* How far the next instruction would have to jump to reach label. */
static int
distance(const struct compiler *c, int label)
{
	return c->n - label;
}

/*
 * Makes label reachable by a conditional jump, even when one more instruction
 * comes between: a far outcome gets a new RET, a far instruction a JA.
 */
static int
reach(struct compiler *c, int label)
{
	if (label < 0) {
		int *ret = &c->ret[label == LABEL_PASS];

		if (*ret == 0 || distance(c, *ret) >= JUMP_MAX)
			*ret = emit(
			    c, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K,
				   label == LABEL_PASS ? RESULT_PASS
						       : RESULT_DROP));
		return *ret;
	}
	if (distance(c, label) < JUMP_MAX)
		return label;
	return emit(c, (struct sock_filter)BPF_STMT(
			   BPF_JMP | BPF_JA, (uint32_t)distance(c, label)));
}

static int
emit_jump(
    struct compiler *c, uint16_t test, uint32_t k, int if_true, int if_false)
{
	if_true = reach(c, if_true);
	if_false = reach(c, if_false);
	return emit(c,
	    (struct sock_filter)BPF_JUMP(BPF_JMP | test | BPF_K, k,
		(uint8_t)distance(c, if_true), (uint8_t)distance(c, if_false)));
}

static int
emit_load(struct compiler *c, uint16_t size, uint32_t offset)
{
	return emit(
	    c, (struct sock_filter)BPF_STMT(BPF_LD | size | BPF_ABS, offset));
}

static int compile_word(struct compiler *c, int word, size_t lo, size_t hi);

/* Outcomes alternate: before bounds[0] drop, after it pass, and so on. */
static int
outcome(size_t bound)
{
	return bound % 2 == 0 ? LABEL_DROP : LABEL_PASS;
}

static int
compile_stretch(struct compiler *c, const struct level *lv, size_t i)
{
	const struct stretch *s = &lv->stretches[i];

	if (s->lo == s->hi)
		return outcome(s->lo);
	return compile_word(c, lv->word + 1, s->lo, s->hi);
}

/* Do cuts[first] and the next one enclose a single value, with one outcome on
 * both sides of it? */
static bool
is_single_value(const struct level *lv, size_t first)
{
	const struct stretch *before = &lv->stretches[first];
	const struct stretch *after = &lv->stretches[first + 2];

	return lv->cuts[first] + 1 == lv->cuts[first + 1] &&
	       before->lo == before->hi && after->lo == after->hi &&
	       outcome(before->lo) == outcome(after->lo);
}

/* Finds the stretch among those from cuts[first] to before cuts[last]. */
static int
compile_tree(
    struct compiler *c, const struct level *lv, size_t first, size_t last)
{
	size_t mid = first + (last - first) / 2;
	int above;
	int below;

	if (c->error != 0)
		return LABEL_DROP;
	if (first == last)
		return compile_stretch(c, lv, first);
	if (last - first == 2 && is_single_value(lv, first)) {
		above = compile_stretch(c, lv, first + 1);
		below = compile_stretch(c, lv, first);
		return emit_jump(c, BPF_JEQ, lv->cuts[first], above, below);
	}
	above = compile_tree(c, lv, mid + 1, last);
	below = compile_tree(c, lv, first, mid);
	return emit_jump(c, BPF_JGE, lv->cuts[mid], above, below);
}

/* Ends the current stretch before value and begins the one given. */
static void
level_cut(struct level *lv, uint32_t value, size_t lo, size_t hi)
{
	/* Nothing lies before 0, or between a cut and itself. */
	if (value != 0 &&
	    (lv->n_cuts == 0 || lv->cuts[lv->n_cuts - 1] != value))
		lv->cuts[lv->n_cuts++] = value;
	lv->stretches[lv->n_cuts] = (struct stretch){.lo = lo, .hi = hi};
}

/* Are the words after this one 0? Then the bound lies right at its value. */
static bool
rest_is_zero(const struct compiler *c, const struct bound *b, int word)
{
	for (int w = word + 1; w < c->n_words; w++) {
		if (b->word[w] != 0)
			return false;
	}
	return true;
}

/* Turns bounds[lo, hi), equal in all earlier words, into cuts of this one. */
static void
level_build(const struct compiler *c, struct level *lv, size_t lo, size_t hi)
{
	size_t next;

	lv->stretches[0] = (struct stretch){.lo = lo, .hi = lo};
	for (size_t i = lo; i < hi; i = next) {
		uint32_t value = c->bounds[i].word[lv->word];
		size_t inner = i;

		for (next = i + 1; next < hi; next++) {
			if (c->bounds[next].word[lv->word] != value)
				break;
		}
		if (rest_is_zero(c, &c->bounds[i], lv->word))
			inner++;
		level_cut(lv, value, inner, next);
		if (inner != next && value != UINT32_MAX)
			level_cut(lv, value + 1, next, next);
	}
}

/* Returns the label of a program part that decides among bounds[lo, hi). */
static int
compile_word(struct compiler *c, int word, size_t lo, size_t hi)
{
	size_t room = 2 * (hi - lo) + 1;
	struct level lv = {.word = word};
	int label = LABEL_DROP;

	lv.cuts = calloc(room, sizeof(*lv.cuts));
	lv.stretches = calloc(room, sizeof(*lv.stretches));
	if (lv.cuts == NULL || lv.stretches == NULL) {
		c->error = -ENOMEM;
		goto out;
	}
	level_build(c, &lv, lo, hi);
	label = compile_tree(c, &lv, 0, lv.n_cuts);
	if (label > 0)
		label = emit_load(c, BPF_W,
		    (uint32_t)SKF_NET_OFF + c->source_offset +
			4u * (uint32_t)word);
out:
	free(lv.stretches);
	free(lv.cuts);
	return label;
}

/* The address after to; false when there is none. */
static bool
bound_after(const uint8_t *to, int n_words, struct bound *out)
{
	memcpy(out->word, to, sizeof(out->word));
	for (int w = 0; w < n_words; w++)
		out->word[w] = ntohl(out->word[w]);
	for (int w = n_words - 1; w >= 0; w--) {
		if (++out->word[w] != 0)
			return true;
	}
	return false;
}

/* One family: ranges sorted and merged, as sg_set has them. */
static int
compile_family(struct compiler *c, const struct sg_range *ranges, size_t n,
    int n_words, uint32_t source_offset)
{
	struct bound *bounds = calloc(2 * n + 1, sizeof(*bounds));
	size_t n_bounds = 0;
	int label;

	if (bounds == NULL) {
		c->error = -ENOMEM;
		return LABEL_DROP;
	}
	for (size_t i = 0; i < n; i++) {
		struct bound *b = &bounds[n_bounds++];

		memcpy(b->word, ranges[i].from, sizeof(b->word));
		for (int w = 0; w < n_words; w++)
			b->word[w] = ntohl(b->word[w]);
		if (bound_after(ranges[i].to, n_words, &bounds[n_bounds]))
			n_bounds++;
	}
	c->bounds = bounds;
	c->n_words = n_words;
	c->source_offset = source_offset;
	label = compile_word(c, 0, 0, n_bounds);
	c->bounds = NULL;
	free(bounds);
	return label;
}

static int
take_program(const struct compiler *c, struct syn_filter *out)
{
	size_t n = (size_t)c->n;
	struct sock_filter *insns = calloc(n, sizeof(*insns));

	if (insns == NULL)
		return -ENOMEM;
	memcpy(insns, &c->insns[SYN_FILTER_INSNS_MAX - n], n * sizeof(*insns));
	out->insns = insns;
	out->n = n;
	return 0;
}

int
syn_filter_compile(const struct sg_set *set, struct syn_filter *out)
{
	struct compiler *c = calloc(1, sizeof(*c));
	int r;
	int v4;
	int v6;

	if (c == NULL)
		return -ENOMEM;
	v6 = compile_family(c, set->v6, set->n_v6, 4, IPV6_SOURCE_OFFSET);
	v4 = compile_family(c, set->v4, set->n_v4, 1, IPV4_SOURCE_OFFSET);
	if (v4 == v6) { /* one outcome for every packet */
		(void)reach(c, v4);
	} else {
		(void)emit_jump(c, BPF_JGE, 6 << 4, v6, v4);
		(void)emit_load(
		    c, BPF_B, (uint32_t)SKF_NET_OFF + VERSION_OFFSET);
	}
	r = c->error != 0 ? c->error : take_program(c, out);
	free(c);
	return r;
}

int
syn_filter_refuse_new(struct syn_filter *out)
{
	static const struct sock_filter program[] = {
	    BPF_STMT(BPF_LD | BPF_B | BPF_ABS, TCP_FLAGS_OFFSET),
	    BPF_STMT(BPF_ALU | BPF_AND | BPF_K, TCP_FLAG_SYN | TCP_FLAG_ACK),
	    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, TCP_FLAG_SYN, 0, 1),
	    BPF_STMT(BPF_RET | BPF_K, RESULT_DROP),
	    BPF_STMT(BPF_RET | BPF_K, RESULT_PASS),
	};
	struct sock_filter *insns = malloc(sizeof(program));

	if (insns == NULL)
		return -ENOMEM;
	memcpy(insns, program, sizeof(program));
	out->insns = insns;
	out->n = sizeof(program) / sizeof(program[0]);
	return 0;
}

void
syn_filter_fini(struct syn_filter *f)
{
	free(f->insns);
	memset(f, 0, sizeof(*f));
}
