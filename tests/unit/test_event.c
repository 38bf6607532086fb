/*
 * Unit tests of nlb/event: codes and message ids that others may rely on.
 */
#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "nlb/attributes.h"
#include "nlb/event.h"
#include "support/expect.h"

static void
codes_and_message_ids_are_well_formed_and_unique(void **state)
{
	(void)state;
	for (int i = 0; i < EVENT_COUNT; i++) {
		const struct log_kind *kind = event_kind((enum event)i);

		assert_u64(strspn(kind->code, "abcdefghijklmnopqrstuvwxyz-"),
		    strlen(kind->code));
		assert_u64(strlen(kind->message_id), 32);
		assert_u64(strspn(kind->message_id, "0123456789abcdef"), 32);
		assert_true(strlen(event_meaning((enum event)i)) > 5);
		for (int j = 0; j < i; j++) {
			const struct log_kind *other =
			    event_kind((enum event)j);

			assert_string_not_equal(kind->code, other->code);
			assert_string_not_equal(
			    kind->message_id, other->message_id);
		}
	}
}

/* What is released: somebody's filter of the journal has it. */
static void
message_ids_stay(void **state)
{
	(void)state;
	assert_str(event_kind(EVENT_TARGET_UNHEALTHY)->message_id,
	    "d3706fd2b33e42ae998b424b1e0c8cf1");
	assert_str(event_kind(EVENT_RELOAD_REJECTED)->message_id,
	    "6aea5aa248494eaaa62983f1b8e91015");
}

static void
events_are_found_by_their_code(void **state)
{
	enum event event = EVENT_SERVING;

	(void)state;
	for (int i = 0; i < EVENT_COUNT; i++) {
		assert_i64(event_parse(event_code((enum event)i), &event), 0);
		assert_i64(event, i);
	}
	event = EVENT_SERVING;
	assert_errno(event_parse("Serving", &event), -EINVAL);
	assert_errno(event_parse("", &event), -EINVAL);
	assert_i64(event, EVENT_SERVING);
}

static void
every_state_of_a_target_is_an_event(void **state)
{
	(void)state;
	for (int i = 0; i < TARGET_STATE_COUNT; i++) {
		const char *name = target_state_name((enum target_state)i);
		const char *code =
		    event_code(event_of_state((enum target_state)i));

		/* "unhealthy.draining" is "target-unhealthy-draining". */
		assert_u64(strlen(code), strlen(name) + strlen("target-"));
		assert_bytes(
		    code + strlen("target-"), name, strcspn(name, "."));
	}
	assert_str(event_code(event_of_state((enum target_state)99)),
	    "target-unavailable");
}

/* The words of Events, in their order, are the classes' bits. */
static void
events_have_the_class_that_their_word_means(void **state)
{
	static const struct {
		enum event event;
		const char *word;
	} cases[] = {
	    {EVENT_TARGET_UNHEALTHY, "target-health"},
	    {EVENT_TARGET_DEREGISTERED, "target-health"},
	    {EVENT_FAIL_OPEN_BEGAN, "fail-open"},
	    {EVENT_STANDBY_ENDED, "fail-open"},
	    {EVENT_RELOAD_ACCEPTED, "reload"},
	    {EVENT_RELOAD_REJECTED, "reload"},
	    {EVENT_CHANGE_APPLIED, "reload"},
	    {EVENT_WORKER_KILLED, "worker"},
	    {EVENT_WORKERS_NOT_STOPPING, "worker"},
	    {EVENT_NAME_UNRESOLVED, "name"},
	    {EVENT_NAMES_NOT_APPLIED, "name"},
	    {EVENT_NODE_DRAINED, "node"},
	    {EVENT_STOP_DRAINING, "node"},
	    {EVENT_SERVING, "node"},
	    {EVENT_UPGRADED, "node"},
	    {EVENT_LISTENER_PAUSED, "node"},
	};
	const struct conf_attribute *a =
	    conf_attribute_find(CONF_NOTIFY, "Events", strlen("Events"));

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint32_t class = event_class(event_code(cases[i].event));
		unsigned bit = 0;

		assert_true(class != 0);
		while ((class & 1u << bit) == 0)
			bit++;
		assert_str(a->words[bit], cases[i].word);
	}
	/* A receiver's own trouble is no news for receivers. */
	assert_u64(event_class(event_code(EVENT_NOTIFY_FAILED)), 0);
	assert_u64(event_class(event_code(EVENT_NOTIFY_DROPPED)), 0);
	assert_u64(event_class("unknown"), 0);
	assert_u64(event_class(event_code(EVENT_NOTIFY_TEST)), UINT32_MAX);
}

static void
unknown_events_have_names_too(void **state)
{
	(void)state;
	assert_str(event_code(EVENT_COUNT), "unknown");
	assert_str(event_meaning((enum event) - 1), "unknown");
	assert_i64(event_level(EVENT_COUNT), LOG_LEVEL_NOTICE);
}

struct kept {
	struct log_entry entry;
	char text[LOG_LINE_MAX];
	unsigned n;
};

static void
keep(void *arg, const struct log_entry *entry)
{
	struct kept *k = arg;

	k->entry = *entry;
	strncpy(k->text, entry->text, sizeof(k->text) - 1);
	k->n++;
}

static void
events_are_logged_with_what_they_are_about(void **state)
{
	const struct log_field about[] = {{EVENT_TARGET, "10.0.0.1:587"}, {0}};
	struct kept k = {.n = 0};

	(void)state;
	log_set_sink(keep, &k);
	event_log(EVENT_SERVING, "serving %d", 3);
	assert_str(k.text, "serving 3");
	assert_str(k.entry.kind.code, "serving");
	assert_i64(k.entry.kind.level, LOG_LEVEL_NOTICE);
	assert_null(k.entry.about);
	event_log_about(EVENT_TARGET_UNHEALTHY, about, "it is down");
	assert_str(k.entry.kind.code, "target-unhealthy");
	assert_ptr_equal(k.entry.about, about);
	event_log(EVENT_ADMIN_TROUBLE, "below the level");
	assert_u64(k.n, 2);
	log_set_sink(NULL, NULL);
}

/* Whoever is to be told hears what LogLevel leaves out, and nothing without a
 * code. */
static void
a_watcher_hears_events_whatever_the_level(void **state)
{
	struct kept logged = {.n = 0}, heard = {.n = 0};

	(void)state;
	log_set_level(LOG_LEVEL_ERROR);
	log_set_sink(keep, &logged);
	log_set_watcher(keep, &heard);
	event_log(EVENT_TARGET_HEALTHY, "well");
	log_error("of no kind");
	assert_u64(heard.n, 1);
	assert_str(heard.text, "well");
	assert_u64(logged.n, 1);
	assert_str(logged.text, "of no kind");
	log_set_watcher(NULL, NULL);
	event_log(EVENT_TARGET_HEALTHY, "well");
	assert_u64(heard.n, 1);
	log_set_sink(NULL, NULL);
	log_set_level(LOG_LEVEL_INFO);
}

int
main(void)
{
	const struct CMUnitTest event[] = {
	    cmocka_unit_test(codes_and_message_ids_are_well_formed_and_unique),
	    cmocka_unit_test(message_ids_stay),
	    cmocka_unit_test(events_are_found_by_their_code),
	    cmocka_unit_test(every_state_of_a_target_is_an_event),
	    cmocka_unit_test(events_have_the_class_that_their_word_means),
	    cmocka_unit_test(a_watcher_hears_events_whatever_the_level),
	    cmocka_unit_test(unknown_events_have_names_too),
	    cmocka_unit_test(events_are_logged_with_what_they_are_about),
	};

	return cmocka_run_group_tests(event, NULL, NULL);
}
