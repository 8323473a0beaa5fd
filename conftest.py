"""What every test run needs, of the tests and of the notebooks alike."""

import sys
from pathlib import Path

import pytest

sys.path[:0] = [str(Path(__file__).parent / folder) for folder in ("tests", "tools")]

pytest_plugins = ["gate", "nbval_repair"]

# Beside what is marked where it stands: what `--durations` shows to take more than a second on two
# idle cores, by file or by test.
SLOW = {
    "test_assignment.py",
    "test_main.py",
    "test_site.py",
    "test_slides.py",
    "test_bench.py::test_d2ls_function_is_called_and_left_as_it_was",
    "test_bench.py::test_everything_is_measured_in_every_round",
    "test_bench.py::test_the_command_leaves_record_and_figure",
    "test_bench.py::test_without_d2l_its_race_is_left_out",
    "test_cost.py::test_every_classifier_of_torchvision_is_counted",
    "test_cost.py::test_the_receptive_field_is_what_a_position_answers_to",
    "test_data.py::test_a_download_killed_in_the_middle_leaves_no_half_file",
    "test_data.py::test_two_processes_at_once_leave_one_good_copy",
    "test_ensembles.py::test_a_record_of_something_else_is_refused",
    "test_ensembles.py::test_it_resumes_where_it_stopped",
    "test_experiment.py::test_side_by_side_gives_the_same_record",
    "test_folders.py::test_a_network_learns_from_pictures_and_is_evaluated_on_them",
    "test_folders.py::test_a_run_on_pictures_resumes_where_it_stopped",
    "test_folders.py::test_the_command_line_trains_on_pictures_and_evaluates",
    "test_folders.py::test_without_a_recipe_pictures_are_learned_by_their_own",
    "test_hebbian.py::test_a_dense_layer_is_not",
    "test_hebbian.py::test_the_shipped_weights_answer_the_sample_as_recorded",
    "test_hebbian.py::test_the_shipped_weights_reach_the_recorded_accuracy",
    "test_hebbian.py::test_units_are_recovered_from_the_true_pairs",
    "test_models.py::test_32_images_are_learned_by_heart",
    "test_models.py::test_images_come_out_differently_before_training",
    "test_models.py::test_the_smallest_image_is_really_enough",
    "test_notebook_checks.py::test_a_broken_promise_is_told_once",
    "test_notebook_checks.py::test_a_notebook_is_stored_clean_and_the_same_each_time",
    "test_notebook_checks.py::test_a_notebook_that_fails_is_left_as_it_was",
    "test_notebook_checks.py::test_a_right_notebook_passes",
    "test_notebook_checks.py::test_a_wrong_notebook_fails_at_the_cell_and_for_the_reason",
    "test_notebook_checks.py::test_cells_after_a_failure_are_reported_as_not_run",
    "test_notebook_checks.py::test_in_ci_nothing_may_be_left_out",
    "test_notebook_checks.py::test_the_summary_compares_each_notebook_with_its_promise",
    "test_notebook_checks.py::test_what_a_machine_lacks_is_left_out_and_listed",
    "test_plots.py::test_figures_are_the_same_whatever_the_readers_settings_are",
    "test_plots.py::test_nine_series_are_drawn_and_told_apart",
    "test_reduction.py::test_training_a_narrow_net_leaves_the_random_state_alone",
    "test_transplant.py::test_the_same_weights_give_the_same_answers",
    "test_widgets.py::test_the_panel_of_widths_can_be_moved_to_its_ends",
    "test_widgets.py::test_the_wiring_panel_can_be_moved_to_its_ends",
}


def pytest_configure(config):
    config.addinivalue_line("markers", "slow: takes more than a moment; `make quick` leaves it out")


def pytest_collection_modifyitems(items):
    for item in items:
        name = item.nodeid.removeprefix("tests/").partition("[")[0]
        if not SLOW.isdisjoint((name, item.path.name)):
            item.add_marker(pytest.mark.slow)
