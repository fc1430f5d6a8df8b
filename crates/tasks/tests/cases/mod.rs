//! What the engine does, the same over both books.

mod book;
mod humans;
mod lost;
mod steps;
mod times;

pub(crate) use book::*;
pub(crate) use humans::*;
pub(crate) use lost::*;
pub(crate) use steps::*;
pub(crate) use times::*;

/// Makes a test of each case.
macro_rules! each_case {
    ($with:ident) => {
        $with! {
            a_report_goes_through_its_steps_and_its_values_flow,
            a_list_is_worked_off_a_few_at_a_time_in_its_order,
            an_attempt_that_failed_is_tried_again_later,
            a_failure_runs_the_steps_for_it,
            scenario_r11_a_question_waits_for_a_human_and_takes_edits,
            scenario_r11_a_question_reminds_and_answers_itself,
            scenario_r11_a_critical_task_halts_at_what_is_odd,
            a_retry_of_a_list_does_only_what_failed,
            scenario_r08_a_busy_house_puts_tasks_off,
            a_task_is_a_step_of_another,
            no_more_runs_than_the_task_wants_are_under_way,
            pausing_and_cancelling_take_effect_at_once,
            a_run_goes_on_with_the_version_it_began_with,
            the_same_order_is_one_run,
            scenario_r06_a_lost_worker_leaves_the_step_to_the_next,
            scenario_r06_a_step_in_doubt_asks_where_it_should,
            a_worker_that_wakes_late_writes_nothing,
            schedules_begin_one_run_for_each_time_on_two_nodes,
            waiting_for_a_time_and_for_something_to_come,
            runs_are_listed_searched_and_removed,
            a_clock_that_is_set_ends_no_run_and_delays_none,
            who_turns_a_schedule_is_told_once,
            an_answer_that_was_cut_is_kept_and_asked_again,
            answers_follow_their_schema,
            everything_is_told_once_when_nothing_is_lost,
            scenario_r06_work_that_is_cut_anywhere_goes_on_there,
        }
    };
}
pub(crate) use each_case;
