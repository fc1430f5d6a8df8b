"""The gate's tests once more, asked through a real nginx that has the site of `tollhouse export nginx` (scenario G01).

Not here: what is about whoever is connected to the house itself (addresses that get no answer, headers that only a trusted
proxy may set, connections that are dropped), since that is nginx then. test_companions.py has what is about nginx.
"""

import contextlib

import pytest
from behind_nginx import exported_site
from house import Tollhouse
from test_gate import (  # noqa: F401 (run here)
    test_a_key_is_kept_only_as_its_hash,
    test_a_strange_host_is_not_answered,
    test_an_insane_request_id_is_replaced,
    test_health,
    test_plain_errors_on_every_api,
    test_retry_after_is_a_whole_number_of_seconds,
    test_scenario_g03_a_key_for_certain_models,
    test_scenario_g03_a_revoked_key_is_refused_within_a_second,
    test_scenario_g03_each_header_that_carries_a_key,
    test_scenario_g03_roles,
    test_scenario_g03_twenty_wrong_keys,
    test_scenario_g03_wrong_key_in_each_dialect,
    test_scenario_g04_the_thirty_first_of_thirty_one_at_once,
    test_scenario_g06_a_key_with_a_limit_of_its_own,
    test_scenario_g06_a_prompt_of_100000_characters,
    test_scenario_g06_characters_are_counted_not_bytes,
    test_scenario_g07_registry_names_do_not_leak,
    test_scenario_g08_one_record_each_refusals_included,
    test_statuses_of_bad_requests,
)


@pytest.fixture
def make_house(tmp_path):
    """Houses that trust a proxy on this machine, and are asked through nginx."""
    with contextlib.ExitStack() as ends:

        def make(name="tollhouse", access=None, **config):
            directory = tmp_path / name
            directory.mkdir()
            house = Tollhouse(directory, name=name, access={"trusted_proxies": ["127.0.0.1"], **(access or {})}, **config)
            visitors = ends.enter_context(exported_site(house, tmp_path))
            ends.callback(house.stop)
            house.url = f"https://127.0.0.1:{visitors.https}"
            return house.start()

        yield make
