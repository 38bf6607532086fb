/*
 * Durations, and times as RFC 3339 has them and a bit less.
 */
#include "nlbctl/since.h"

#include <ctype.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <time.h>

#define DAY_S 86400
#define DURATION_MAX_S ((int64_t)100 * 366 * DAY_S)

/* "1h30m" in seconds, or -EINVAL. */
static int64_t
parse_duration(const char *text)
{
	static const char units[] = "smhd";
	static const int64_t seconds[] = {1, 60, 3600, DAY_S};
	int64_t total = 0, n;
	const char *unit;

	do {
		n = 0;
		if (isdigit((unsigned char)*text) == 0)
			return -EINVAL;
		for (; isdigit((unsigned char)*text) != 0; text++) {
			n = n * 10 + (*text - '0');
			if (n > DURATION_MAX_S)
				return -EINVAL;
		}
		unit = *text == '\0' ? NULL : strchr(units, *text);
		if (unit == NULL)
			return -EINVAL;
		total += n * seconds[unit - units];
		text++;
		if (total > DURATION_MAX_S)
			return -EINVAL;
	} while (*text != '\0');
	return total;
}

static const char *
skip_fraction(const char *text)
{
	if (text[0] != '.' || isdigit((unsigned char)text[1]) == 0)
		return text;
	for (text++; isdigit((unsigned char)*text) != 0; text++)
		;
	return text;
}

/* "Z", "+09:00" or nothing: seconds east of UTC, or -EINVAL. */
static int
parse_zone(const char *text, int *east_s)
{
	struct tm tm = {0};
	const char *end;

	*east_s = 0;
	if (text[0] == '\0' || strcmp(text, "Z") == 0)
		return 0;
	if (text[0] != '+' && text[0] != '-')
		return -EINVAL;
	end = strptime(text + 1, "%H:%M", &tm);
	if (end == NULL || *end != '\0')
		return -EINVAL;
	*east_s = (tm.tm_hour * 60 + tm.tm_min) * 60;
	if (text[0] == '-')
		*east_s = -*east_s;
	return 0;
}

static int
parse_time(const char *text, int64_t now_s, int64_t *out)
{
	/* The longer ones first: a shorter one takes their beginning. */
	static const char *const forms[] = {"%Y-%m-%dT%H:%M:%S",
	    "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M", "%Y-%m-%d",
	    "%H:%M:%S", "%H:%M"};
	time_t now = (time_t)now_s;
	const char *end;
	struct tm tm;
	int east_s;

	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		gmtime_r(&now, &tm);
		tm.tm_hour = tm.tm_min = tm.tm_sec = 0;
		end = strptime(text, forms[i], &tm);
		if (end == NULL || parse_zone(skip_fraction(end), &east_s) != 0)
			continue;
		*out = (int64_t)timegm(&tm) - east_s;
		return 0;
	}
	return -EINVAL;
}

int
since_parse(const char *text, int64_t now_s, int64_t *out)
{
	int64_t duration = parse_duration(text);

	if (duration < 0)
		return parse_time(text, now_s, out);
	*out = now_s - duration;
	return 0;
}
