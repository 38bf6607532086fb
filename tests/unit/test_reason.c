/*
 * Unit tests of nlb/reason: the tables are complete and safe to index.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "nlb/reason.h"

static void
every_end_reason_has_a_distinct_code_and_a_text(void **state)
{
	int a, b;

	(void)state;
	for (a = 0; a < FLOW_END_REASON_COUNT; a++) {
		const char *code =
		    flow_end_reason_code((enum flow_end_reason)a);

		assert_true(strlen(code) > 0);
		assert_true(strspn(code, "abcdefghijklmnopqrstuvwxyz-") ==
			    strlen(code));
		assert_string_not_equal(code, "unknown");
		assert_true(
		    strlen(flow_end_reason_text((enum flow_end_reason)a)) > 10);
		for (b = 0; b < a; b++)
			assert_string_not_equal(code,
			    flow_end_reason_code((enum flow_end_reason)b));
	}
}

static void
end_reasons_add_to_the_right_cloudwatch_counter(void **state)
{
	(void)state;
	assert_string_equal(
	    flow_end_reason_code(FLOW_END_CLIENT_FIN), "client-fin");
	assert_true(
	    flow_end_reason_class(FLOW_END_CLIENT_FIN) == FLOW_END_NORMAL);
	assert_true(flow_end_reason_class(FLOW_END_CLIENT_RST) ==
		    FLOW_END_CLIENT_RESET);
	assert_true(flow_end_reason_class(FLOW_END_TARGET_RST) ==
		    FLOW_END_TARGET_RESET);
	assert_true(
	    flow_end_reason_class(FLOW_END_IDLE_TIMEOUT) == FLOW_END_ELB_RESET);
	assert_true(
	    flow_end_reason_class(FLOW_END_SHUTDOWN) == FLOW_END_ELB_RESET);
	assert_true(
	    flow_end_reason_class(FLOW_END_DEREGISTERED) == FLOW_END_ELB_RESET);
	assert_true(flow_end_reason_class(FLOW_END_TARGET_UNHEALTHY) ==
		    FLOW_END_ELB_RESET);
	assert_true(
	    flow_end_reason_class(FLOW_END_NO_TARGET) == FLOW_END_REJECTED);
	assert_true(flow_end_reason_class(FLOW_END_PORT_ALLOCATION) ==
		    FLOW_END_REJECTED);
	assert_true(
	    flow_end_reason_class(FLOW_END_SECURITY_GROUP) == FLOW_END_BLOCKED);
	assert_true(flow_end_reason_class(FLOW_END_SECURITY_GROUP_OUTBOUND) ==
		    FLOW_END_BLOCKED);
	assert_true(
	    flow_end_reason_class(FLOW_END_NETWORK_ACL) == FLOW_END_BLOCKED);
}

static void
target_states_and_reasons_are_the_apis_strings(void **state)
{
	(void)state;
	assert_string_equal(target_state_name(TARGET_INITIAL), "initial");
	assert_string_equal(
	    target_state_name(TARGET_UNHEALTHY_DRAINING), "unhealthy.draining");
	assert_string_equal(
	    target_state_name(TARGET_UNAVAILABLE), "unavailable");
	assert_string_equal(target_reason_code(TARGET_REASON_NONE), "");
	assert_string_equal(target_reason_description(TARGET_REASON_NONE), "");
	assert_string_equal(
	    target_reason_code(TARGET_REASON_FAILED_HEALTH_CHECKS),
	    "Target.FailedHealthChecks");
	assert_string_equal(
	    target_reason_description(TARGET_REASON_FAILED_HEALTH_CHECKS),
	    "Health checks failed");
	assert_string_equal(target_reason_code(TARGET_REASON_ZONE_NOT_ENABLED),
	    "Target.NotInUse");
	assert_string_equal(
	    target_reason_code(TARGET_REASON_INITIAL_HEALTH_CHECKING),
	    "Elb.InitialHealthChecking");
}

static void
every_state_and_reason_has_a_name(void **state)
{
	int i;

	(void)state;
	for (i = 0; i < TARGET_STATE_COUNT; i++)
		assert_non_null(target_state_name((enum target_state)i));
	for (i = TARGET_REASON_NONE + 1; i < TARGET_REASON_COUNT; i++) {
		enum target_reason reason = (enum target_reason)i;

		assert_true(strlen(target_reason_code(reason)) > 0);
		assert_true(strlen(target_reason_description(reason)) > 0);
	}
}

static void
unknown_numbers_give_unknown(void **state)
{
	static const unsigned numbers[] = {
	    FLOW_END_REASON_COUNT, 255, UINT32_MAX};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		enum flow_end_reason end = (enum flow_end_reason)numbers[i];
		enum target_reason reason = (enum target_reason)numbers[i];

		assert_string_equal(flow_end_reason_code(end), "unknown");
		assert_string_equal(flow_end_reason_text(end), "unknown");
		assert_true(flow_end_reason_class(end) == FLOW_END_NORMAL);
		assert_string_equal(
		    target_state_name((enum target_state)numbers[i]),
		    "unknown");
		assert_string_equal(target_reason_code(reason), "unknown");
		assert_string_equal(
		    target_reason_description(reason), "unknown");
	}
}

int
main(void)
{
	const struct CMUnitTest reason[] = {
	    cmocka_unit_test(every_end_reason_has_a_distinct_code_and_a_text),
	    cmocka_unit_test(end_reasons_add_to_the_right_cloudwatch_counter),
	    cmocka_unit_test(target_states_and_reasons_are_the_apis_strings),
	    cmocka_unit_test(every_state_and_reason_has_a_name),
	    cmocka_unit_test(unknown_numbers_give_unknown),
	};

	return cmocka_run_group_tests(reason, NULL, NULL);
}
