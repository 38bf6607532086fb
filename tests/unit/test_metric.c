/* nlb/metric: the table of metrics. */
#include "nlb/metric.h"

#include <ctype.h>
#include <string.h>

#include "support/expect.h"

/* Of AWS/NetworkELB, for a TCP listener (TCP variants, LCUs and the metrics of
 * other protocols apart). */
static const char *const cloudwatch[] = {"ActiveFlowCount", "NewFlowCount",
    "ProcessedBytes", "ProcessedPackets", "PeakBytesPerSecond",
    "PeakPacketsPerSecond", "TCP_Client_Reset_Count", "TCP_Target_Reset_Count",
    "TCP_ELB_Reset_Count", "HealthyHostCount", "UnHealthyHostCount",
    "UnhealthyRoutingFlowCount", "PortAllocationErrorCount",
    "RejectedFlowCount", "SecurityGroupBlockedFlowCount_Inbound_TCP",
    "SecurityGroupBlockedFlowCount_Outbound_TCP", "ZonalHealthStatus"};

static void
every_metric_of_the_nlb_is_in_the_table(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cloudwatch) / sizeof(cloudwatch[0]);
	     i++) {
		const struct metric *m = metric_find(cloudwatch[i]);

		assert_non_null(m);
		assert_string_equal(m->cloudwatch, cloudwatch[i]);
	}
}

static void
names_are_what_an_exporter_may_print(void **state)
{
	(void)state;
	for (size_t i = 0; i < METRIC_COUNT; i++) {
		const struct metric *m = &metrics[i];
		size_t len = strlen(m->name);
		bool total =
		    len > 6 && strcmp(m->name + len - 6, "_total") == 0;

		assert_ptr_equal(metric_find(m->name), m);
		for (const char *p = m->name; *p != '\0'; p++)
			assert_true(islower((unsigned char)*p) || *p == '_');
		assert_i64(total, m->kind == METRIC_COUNTER);
		assert_true(len > 0 && m->help[0] != '\0');
		assert_true(m->help[strlen(m->help) - 1] != '.');
		assert_null(strpbrk(m->help, "\\\n"));
		assert_u64(m->dimensions & ~METRIC_BY_ALL, 0);
		assert_true(m->dimensions != 0);
	}
}

static void
a_metric_is_found_by_its_tcp_variant(void **state)
{
	(void)state;
	assert_ptr_equal(
	    metric_find("ActiveFlowCount_TCP"), &metrics[METRIC_ACTIVE_FLOWS]);
	assert_ptr_equal(
	    metric_find("NewFlowCount_TCP"), &metrics[METRIC_NEW_FLOWS]);
	assert_ptr_equal(metric_find("RejectedFlowCount_TCP"),
	    &metrics[METRIC_REJECTED_FLOWS]);
	assert_ptr_equal(metric_find("ProcessedBytes_TCP"),
	    &metrics[METRIC_PROCESSED_BYTES]);
	/* which no NLB has */
	assert_null(metric_find("HealthyHostCount_TCP"));
	assert_null(metric_find("NewFlowCount_UDP"));
	assert_null(metric_find("NewFlow"));
	assert_null(metric_find("_TCP"));
	assert_null(metric_find(""));
}

static void
dimensions_are_found_by_name(void **state)
{
	(void)state;
	for (unsigned i = 0; i < METRIC_DIMENSIONS; i++) {
		const char *name =
		    metric_dimension_name((enum metric_dimension)(1u << i));

		assert_u64(metric_dimensions_find(name), 1u << i);
	}
	assert_u64(metric_dimensions_find("all"), METRIC_BY_ALL);
	assert_u64(metric_dimensions_find("host"), 0);
	assert_string_equal(
	    metric_dimension_name((enum metric_dimension)METRIC_BY_ALL),
	    "unknown");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_metric_of_the_nlb_is_in_the_table),
	    cmocka_unit_test(names_are_what_an_exporter_may_print),
	    cmocka_unit_test(a_metric_is_found_by_its_tcp_variant),
	    cmocka_unit_test(dimensions_are_found_by_name),
	};

	return cmocka_run_group_tests_name("metric", tests, NULL, NULL);
}
