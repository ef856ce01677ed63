/* What each question is counted in. */
#pragma once
#include "waypost/plugin/metric.h"

extern const struct wp_family prom_requests, prom_duration, prom_request_size, prom_response_size,
    prom_do_requests, prom_responses, prom_enabled, prom_build_info, prom_panics;
