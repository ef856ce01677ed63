"""etcd 3.7: the rows that tests/e2e shows with Debian's 3.4, by the same tests."""
import os
import sys

import etcd
import peers
import pytest
from server import TOP

sys.path.insert(0, os.path.join(TOP, "tests/e2e"))
for module in ("test_31_etcd_answers", "test_32_etcd_options", "test_33_etcd_faults", "test_34_etcd_tls", "test_34_etcd_users",
               "test_35_etcd_trouble", "test_36_etcd_cluster", "test_50_register", "test_51_registered"):
    pytest.register_assert_rewrite(module)
from test_31_etcd_answers import test_outside_all_zones_is_the_next_directive, test_questions_make_no_calls, world  # noqa: E402, F401
from test_31_etcd_answers import test_row as test_answer  # noqa: E402, F401
from test_32_etcd_options import TestLesson, lesson, member, test_each_prefix_its_own_keys, test_lease_ends  # noqa: E402, F401
from test_32_etcd_options import test_row as test_option, upstream  # noqa: E402, F401
from test_33_etcd_faults import (  # noqa: E402, F401
    test_a_transaction_is_seen_whole, test_another_cluster, test_everything_is_deleted_on_purpose,
    test_events_missed_meanwhile_are_replayed, test_history_is_compacted, test_restored_from_an_older_state,
    test_start_without_etcd, test_the_end_of_a_lease_takes_all_its_keys_at_once, test_wiped)

from test_34_etcd_tls import test_files_change_while_the_connection_lives  # noqa: E402, F401
from test_34_etcd_users import forgetful, test_authentication_goes_and_comes, test_tokens_that_do_not_last  # noqa: E402, F401
from test_35_etcd_trouble import (  # noqa: E402, F401
    test_circle_of_aliases_across_zones, test_leader_changes, test_learner_is_passed_over, test_no_space,
    test_nothing_is_ever_written, test_one_key_becomes_malformed, test_upstream_of_aliases_is_down)
from test_36_etcd_cluster import (  # noqa: E402, F401
    test_connected_member_is_killed, test_leader_is_killed, test_member_says_nothing, test_no_quorum,
    test_rolling_restart, three, whole)
from test_50_register import (  # noqa: E402, F401
    own_store, store, test_etcd_is_wiped, test_etcd_restarts, test_kill_9, test_lease_is_lost, test_value_and_lease)
from test_51_registered import test_bad, test_deregister, test_list, test_list_of_many_leases  # noqa: E402, F401


@pytest.fixture(scope="module", autouse=True)
def newer():
    """Members that name no program are 3.7's."""
    before, etcd.BINARY = etcd.BINARY, peers.etcd37()
    yield
    etcd.BINARY = before


def test_it_is_the_newer_one(member):  # noqa: F811
    status = member.client.call("Maintenance/Status")
    assert status[2][0].decode().startswith("3.7.")
