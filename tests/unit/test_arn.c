/* nlb/arn: names in ARNs, nlbd's own and AWS's. */
#include "nlb/arn.h"

#include <stdio.h>
#include <string.h>

#include "support/expect.h"

#define OWN "arn:nlbd:elasticloadbalancing:::"
#define AWS "arn:aws:elasticloadbalancing:eu-central-1:123456789012:"

static void
an_own_arn_holds_names_alone_and_gives_them_back(void **state)
{
	static const struct {
		enum arn_kind kind;
		const char *name, *arn;
	} rows[] = {
	    {ARN_LOAD_BALANCER, "lab", OWN "loadbalancer/net/lab"},
	    {ARN_LISTENER, "submission", OWN "listener/net/lab/submission"},
	    {ARN_TARGET_GROUP, "smtp", OWN "targetgroup/smtp"},
	};
	struct conf conf = {.lb.name = "lab"};
	char arn[ARN_MAX], name[ARN_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_str(arn_format(rows[i].kind, &conf, rows[i].name, arn),
		    rows[i].arn);
		assert_str(arn_name(rows[i].kind, arn, name), rows[i].name);
	}
}

static void
the_longest_names_fit(void **state)
{
	struct conf conf = {0};
	char longest[CONF_NAME_MAX + 1], arn[ARN_MAX], name[ARN_MAX];

	(void)state;
	memset(longest, 'x', CONF_NAME_MAX);
	longest[CONF_NAME_MAX] = '\0';
	memcpy(conf.lb.name, longest, sizeof(longest));
	arn_format(ARN_LISTENER, &conf, longest, arn);
	assert_str(arn_name(ARN_LISTENER, arn, name), longest);
}

static void
an_arn_of_aws_has_an_id_behind_the_name(void **state)
{
	char name[ARN_MAX];

	(void)state;
	assert_str(arn_name(ARN_TARGET_GROUP,
		       AWS "targetgroup/smtp/73e2d6bc24d8a067", name),
	    "smtp");
	assert_str(arn_name(ARN_LOAD_BALANCER,
		       AWS "loadbalancer/net/lab/50dc6c495c0c9188", name),
	    "lab");
	assert_str(arn_name(ARN_LISTENER,
		       AWS "listener/net/lab/50dc6c495c0c9188/f2f7dc8e", name),
	    "f2f7dc8e");
}

static void
what_is_no_arn_of_the_kind_stays_as_it_is(void **state)
{
	static const char *const texts[] = {
	    "smtp",
	    "",
	    "arn:",
	    "arn:nlbd",
	    "arn:nlbd:elasticloadbalancing:::",
	    OWN "loadbalancer/net/lab",
	    OWN "targetgroups/smtp",
	    "ARN:nlbd:elasticloadbalancing:::targetgroup/smtp",
	};
	char name[ARN_MAX], huge[1024];

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		assert_ptr_equal(
		    arn_name(ARN_TARGET_GROUP, texts[i], name), texts[i]);
	snprintf(huge, sizeof(huge), OWN "targetgroup/%0900d", 1);
	assert_ptr_equal(arn_name(ARN_TARGET_GROUP, huge, name), huge);
}

static void
the_load_balancer_goes_by_name_or_arn(void **state)
{
	struct conf conf = {.lb.name = "lab"};

	(void)state;
	assert_true(arn_is_load_balancer(&conf, "lab"));
	assert_true(arn_is_load_balancer(&conf, OWN "loadbalancer/net/lab"));
	assert_true(
	    arn_is_load_balancer(&conf, AWS "loadbalancer/net/lab/50dc6c49"));
	assert_false(arn_is_load_balancer(&conf, "lab2"));
	assert_false(arn_is_load_balancer(&conf, OWN "targetgroup/lab"));
}

int
main(void)
{
	const struct CMUnitTest arn[] = {
	    cmocka_unit_test(an_own_arn_holds_names_alone_and_gives_them_back),
	    cmocka_unit_test(the_longest_names_fit),
	    cmocka_unit_test(an_arn_of_aws_has_an_id_behind_the_name),
	    cmocka_unit_test(what_is_no_arn_of_the_kind_stays_as_it_is),
	    cmocka_unit_test(the_load_balancer_goes_by_name_or_arn),
	};

	return cmocka_run_group_tests(arn, NULL, NULL);
}
