/*
 * Unit tests of nlb/explain: every code has causes, and texts that hold.
 */
#include <stdio.h>
#include <string.h>

#include "nlb/attributes.h"
#include "nlb/event.h"
#include "nlb/explain.h"
#include "nlb/metric.h"
#include "nlb/reason.h"
#include "nlbctl/command.h"
#include "support/expect.h"

static size_t
count_matches(const char *text)
{
	size_t n = 0;

	for (size_t i = 0; i < explain_count(); i++) {
		struct explanation e = explain_at(i);

		n += explain_matches(&e, text) != 0;
	}
	return n;
}

static void
every_code_is_explained(void **state)
{
	(void)state;
	for (int i = 0; i < FLOW_END_REASON_COUNT; i++)
		assert_true(count_matches(flow_end_reason_code(
				(enum flow_end_reason)i)) > 0);
	for (int i = 0; i < TARGET_STATE_COUNT; i++)
		assert_true(
		    count_matches(target_state_name((enum target_state)i)) > 0);
	for (int i = 1; i < TARGET_REASON_COUNT; i++)
		assert_true(count_matches(
				target_reason_code((enum target_reason)i)) > 0);
	for (int i = 0; i < EVENT_COUNT; i++)
		assert_true(count_matches(event_code((enum event)i)) > 0);
	for (int i = 0; i < METRIC_COUNT; i++) {
		assert_u64(count_matches(metrics[i].name), 1);
		if (metrics[i].cloudwatch[0] != '\0')
			assert_u64(count_matches(metrics[i].cloudwatch), 1);
	}
}

/* One sentence a line, with a stop: nlbctl makes a list of them. */
static void
expect_sentences(const char *code, const char *text)
{
	size_t len;

	while (*text != '\0') {
		len = strcspn(text, "\n");
		if (len < 5 || (text[len - 1] != '.'))
			print_error("%s: %.*s\n", code, (int)len, text);
		assert_true(len >= 5 && text[len - 1] == '.');
		assert_true(text[0] != ' ');
		text += len + (text[len] == '\n');
	}
}

/* An event that is no warning needs no advice. */
static bool
is_mere_news(const struct explanation *e)
{
	enum event event;

	return strcmp(e->kind, "event") == 0 &&
	       event_parse(e->code, &event) == 0 &&
	       event_level(event) > LOG_LEVEL_WARNING;
}

static void
every_explanation_has_a_meaning_and_causes(void **state)
{
	(void)state;
	for (size_t i = 0; i < explain_count(); i++) {
		struct explanation e = explain_at(i);

		if (e.causes == NULL || e.steps == NULL)
			print_error("%s has no texts\n", e.code);
		assert_non_null(e.causes);
		assert_non_null(e.steps);
		assert_true(e.code[0] != '\0' && e.kind[0] != '\0');
		assert_true(strlen(e.meaning) > 5);
		assert_true(e.meaning[strlen(e.meaning) - 1] != '.');
		assert_true(strlen(e.causes) > 10 || is_mere_news(&e));
		expect_sentences(e.code, e.causes);
		expect_sentences(e.code, e.steps);
	}
}

/* What is a fault has to say what to do about it. */
static void
every_fault_has_a_next_step(void **state)
{
	static const char *const fine[] = {"client-fin", "admin", "healthy",
	    "NewFlowCount", "ProcessedBytes", "ProcessedPackets",
	    "PeakBytesPerSecond", "PeakPacketsPerSecond",
	    "client_to_target_bytes_total", "target_to_client_bytes_total",
	    "client_to_target_packets_total", "target_to_client_packets_total"};

	(void)state;
	for (size_t i = 0; i < explain_count(); i++) {
		struct explanation e = explain_at(i);
		bool is_fine = is_mere_news(&e);

		for (size_t j = 0; j < sizeof(fine) / sizeof(fine[0]); j++)
			is_fine = is_fine || strcmp(fine[j], e.code) == 0;
		if ((e.steps[0] == '\0') != is_fine)
			print_error("%s: next steps\n", e.code);
		assert_true((e.steps[0] == '\0') == is_fine);
	}
}

/* A word with an inner underscore and a dot, or in CamelCase, is a key. */
static bool
is_key(const char *word, size_t len)
{
	for (int kind = 0; kind < CONF_SECTION_KINDS; kind++) {
		if (conf_attribute_find(
			(enum conf_section_kind)kind, word, len) != NULL)
			return true;
	}
	return false;
}

/* Dotted keys are long enough to be mistyped. */
static void
expect_dotted_keys(const char *code, const char *text)
{
	static const char ends[] = " \n,;:()=`";
	size_t len;

	for (; *text != '\0'; text += len + (text[len] != '\0')) {
		len = strcspn(text, ends);
		while (len > 0 && text[len - 1] == '.')
			len--;
		if (strncmp(text, "net.", 4) == 0 ||
		    strncmp(text, "fs.", 3) == 0 ||
		    memchr(text, '_', len) == NULL ||
		    memchr(text, '.', len) == NULL || is_key(text, len))
			continue;
		/* The group of keys that ends in .count and .percentage. */
		if (strstr(text, "target_group_health.") == text)
			continue;
		print_error("%s: %.*s is no key\n", code, (int)len, text);
		assert_true(false);
	}
}

static void
keys_that_are_named_exist(void **state)
{
	(void)state;
	for (size_t i = 0; i < explain_count(); i++) {
		struct explanation e = explain_at(i);

		expect_dotted_keys(e.code, e.causes);
		expect_dotted_keys(e.code, e.steps);
	}
}

/* "`nlbctl VERB ...`" */
static void
expect_verbs(const char *code, const char *text)
{
	static const char call[] = "`nlbctl ";
	size_t len, i;

	while ((text = strstr(text, call)) != NULL) {
		text += sizeof(call) - 1;
		len = strcspn(text, " `");
		for (i = 0; i < n_commands; i++) {
			if (strlen(commands[i].verb) == len &&
			    strncmp(commands[i].verb, text, len) == 0)
				break;
		}
		if (i == n_commands)
			print_error("%s: no verb %.*s\n", code, (int)len, text);
		assert_true(i < n_commands);
	}
}

static void
verbs_that_are_named_exist(void **state)
{
	(void)state;
	for (size_t i = 0; i < explain_count(); i++) {
		struct explanation e = explain_at(i);

		expect_verbs(e.code, e.causes);
		expect_verbs(e.code, e.steps);
	}
}

static void
codes_are_found_as_people_write_them(void **state)
{
	(void)state;
	assert_u64(count_matches("IDLE-TIMEOUT"), 1);
	assert_u64(count_matches("failedhealthchecks"), 1);
	assert_u64(count_matches("target.failedhealthchecks"), 1);
	/* Not in use, for two reasons. */
	assert_u64(count_matches("Target.NotInUse"), 2);
	/* The state's second half is a state of its own. */
	assert_u64(count_matches("draining"), 1);
	/* The end of a flow, and the event. */
	assert_u64(count_matches("target-unhealthy"), 2);
	assert_u64(count_matches("new_flows_total"), 1);
	assert_u64(count_matches("NewFlowCount_TCP"), 1);
	assert_u64(count_matches("client_to_target_bytes_total"), 1);
	assert_u64(count_matches(""), 0);
	assert_u64(count_matches("nothing"), 0);
}

/* As nlbctl doctor and the README say. */
static void
idle_flows_on_ec2_need_a_longer_connection_tracking(void **state)
{
	(void)state;
	for (size_t i = 0; i < explain_count(); i++) {
		struct explanation e = explain_at(i);

		if (strcmp(e.code, "idle-timeout") != 0)
			continue;
		assert_non_null(strstr(e.steps, "raise TcpEstablishedTimeout"));
		return;
	}
	assert_true(false);
}

int
main(void)
{
	const struct CMUnitTest explain[] = {
	    cmocka_unit_test(every_code_is_explained),
	    cmocka_unit_test(every_explanation_has_a_meaning_and_causes),
	    cmocka_unit_test(every_fault_has_a_next_step),
	    cmocka_unit_test(keys_that_are_named_exist),
	    cmocka_unit_test(verbs_that_are_named_exist),
	    cmocka_unit_test(codes_are_found_as_people_write_them),
	    cmocka_unit_test(
		idle_flows_on_ec2_need_a_longer_connection_tracking),
	};

	return cmocka_run_group_tests(explain, NULL, NULL);
}
