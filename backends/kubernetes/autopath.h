/* For `autopath @kubernetes` and whoever holds a kubernetes of its own. */
#pragma once
#include "backends/kubernetes/kubernetes.h"

/* The hook search() of waypost/plugin/plugin.h: pods are known with `pods verified` only. What it
 * says hangs on the client and its pod, and is not recorded: nobody keeps a reply in front of
 * autopath. */
const uint8_t *kubernetes_search(void *self, struct wp_query *q);
