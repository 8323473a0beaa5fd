"""What every test run needs, of the tests and of the notebooks alike."""

import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent / folder) for folder in ("tests", "tools")]

pytest_plugins = ["gate", "nbval_repair"]

# Beside what is marked where it stands: what `--durations` shows to take more than a second on two
# idle cores, by file or by test.
SLOW = {
    "test_assignment.py",
    "test_bench.py",
    "test_main.py",
    "test_site.py",
    "test_slides.py",
    "test_batch_norm.py::test_a_folded_net_gives_the_same_logits",
    "test_checkpoint.py::test_damaged_weights_are_refused_or_as_they_were",
    "test_checkpoint.py::test_weights_come_back_with_their_network",
    "test_cost.py::test_every_classifier_of_torchvision_is_counted",
    "test_cost.py::test_the_command_knows_every_network",
    "test_cost.py::test_the_receptive_field_is_what_a_position_answers_to",
    "test_cost.py::test_totals_are_those_of_torch",
    "test_data.py::test_a_download_killed_in_the_middle_leaves_no_half_file",
    "test_data.py::test_no_damaged_sample_is_read_as_something_else",
    "test_data.py::test_the_full_set_has_the_documented_sizes_mean_and_deviation",
    "test_data.py::test_two_processes_at_once_leave_one_good_copy",
    "test_descriptions.py::test_the_slides_have_it",
    "test_descriptions.py::test_the_web_edition_has_it",
    "test_ensembles.py::test_a_record_of_something_else_is_refused",
    "test_ensembles.py::test_it_resumes_where_it_stopped",
    "test_ensembles.py::test_mixed_answers_agree",
    "test_exercises.py::test_answers_are_what_the_package_counts_and_measures",
    "test_exercises.py::test_inputs_have_the_readers_own_precision",
    "test_experiment.py::test_side_by_side_gives_the_same_record",
    "test_folders.py::test_a_network_learns_from_pictures_and_is_evaluated_on_them",
    "test_folders.py::test_a_run_on_pictures_resumes_where_it_stopped",
    "test_folders.py::test_hidden_folders_and_those_of_systems_never_count",
    "test_folders.py::test_the_command_line_trains_on_pictures_and_evaluates",
    "test_folders.py::test_without_a_recipe_pictures_are_learned_by_their_own",
    "test_hebbian.py::test_a_dense_layer_is_not",
    "test_hebbian.py::test_the_shipped_weights_answer_the_sample_as_recorded",
    "test_hebbian.py::test_the_shipped_weights_reach_the_recorded_accuracy",
    "test_hebbian.py::test_units_are_recovered_from_the_true_pairs",
    "test_models.py::test_32_images_are_learned_by_heart",
    "test_models.py::test_a_network_is_a_function_of_its_name_with_the_defaults_of_create",
    "test_models.py::test_every_parameter_gets_a_gradient",
    "test_models.py::test_images_come_out_differently_before_training",
    "test_models.py::test_options_reach_their_layers",
    "test_models.py::test_parameters_and_multiply_adds",
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
    "test_train.py::test_the_recipe_of_2014_trains_the_net_of_2014",
    "test_transplant.py::test_the_same_weights_give_the_same_answers",
    "test_widgets.py::test_the_panel_of_widths_can_be_moved_to_its_ends",
    "test_widgets.py::test_the_wiring_panel_can_be_moved_to_its_ends",
    "test_widgets.py::test_the_wiring_panel_recovers_what_its_sliders_say",
}


# What draws every figure, some of them a dozen times.
DRAWING = {
    "test_diagram.py::test_the_texts_of_a_strip_can_be_read",
    "test_figures.py",
    "test_guess.py",
    "test_plots.py::test_every_figure_is_a_picture_with_a_sentence",
    "test_plots.py::test_figures_are_the_same_whatever_the_readers_settings_are",
}


def pytest_configure(config):
    config.addinivalue_line("markers", "slow: takes more than a moment; `make quick` leaves it out")
    config.addinivalue_line("markers", "drawing: draws every figure; `make quick` leaves it out")


def pytest_collection_modifyitems(items):
    for item in items:
        name = item.nodeid.removeprefix("tests/").partition("[")[0]
        for mark, entries in (("slow", SLOW), ("drawing", DRAWING)):
            if not entries.isdisjoint((name, item.path.name)):
                item.add_marker(mark)
