/* Whose targets a node uses: zones and cross-zone of load balancer and group.
 */
#include "support/conf_case.h"

#define GROUP_ATTRIBUTE "load_balancing.cross_zone.enabled = "

static struct conf *
conf_with(bool lb_crosses, const char *group_attribute)
{
	char text[1024];
	struct conf_case c;

	snprintf(text, sizeof(text),
	    "[load-balancer]\nAvailabilityZone = zone-a\n"
	    "load_balancing.cross_zone.enabled = %s\n"
	    "[listener l]\nPort = 587\nSecurityGroups = none\n"
	    "DefaultActions = forward:g\n"
	    "[target-group g]\nPort = 587\n%s\n"
	    "Target.own = Id=10.0.0.1,AvailabilityZone=zone-a\n"
	    "Target.all = Id=10.0.0.2,AvailabilityZone=all\n"
	    "Target.bare = Id=10.0.0.3\n"
	    "Target.far = Id=10.0.0.4,AvailabilityZone=zone-b\n",
	    lb_crosses ? "true" : "false", group_attribute);
	c = conf_case_text(text);
	if (c.result != 0)
		fail_msg("%s", c.text);
	conf_diags_fini(&c.diags);
	free(c.text);
	return c.conf;
}

static void
foreign_targets_are_used_with_cross_zone_alone(void **state)
{
	static const struct {
		bool lb, crosses;
		const char *group_attribute;
	} rows[] = {
	    {false, false, ""},
	    {true, true, ""},
	    {false, false, GROUP_ATTRIBUTE "use_load_balancer_configuration"},
	    {true, true, GROUP_ATTRIBUTE "use_load_balancer_configuration"},
	    {false, true, GROUP_ATTRIBUTE "true"},
	    {true, true, GROUP_ATTRIBUTE "true"},
	    {false, false, GROUP_ATTRIBUTE "false"},
	    {true, false, GROUP_ATTRIBUTE "false"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct conf *conf =
		    conf_with(rows[i].lb, rows[i].group_attribute);
		const struct conf_target_group *g = &conf->target_groups[0];

		assert_i64(conf_group_crosses_zones(conf, g), rows[i].crosses);
		for (size_t t = 0; t < 3; t++)
			assert_true(
			    conf_target_zone_enabled(conf, g, &g->targets[t]));
		assert_i64(conf_target_zone_enabled(conf, g, &g->targets[3]),
		    rows[i].crosses);
		conf_destroy(conf);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(foreign_targets_are_used_with_cross_zone_alone),
	};

	return cmocka_run_group_tests_name("conf_zones", tests, NULL, NULL);
}
