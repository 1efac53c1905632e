//! The models of the core, each with the bug that it must catch. Every model and every seeded bug of the core has a row.

pub(super) struct Model {
    /// Its name in the test harness, without `models::`.
    pub(super) name: &'static str,
    pub(super) bug: &'static str,
    /// loom skips schedules with more forced switches than this; without a bound the models take hours.
    pub(super) preemptions: u8,
}

pub(super) const MODELS: &[Model] = &[
    model("loans::delivery_against_cancel", "looks_and_cancels_apart"),
    model("loans::return_against_enqueue", "looks_for_waiters_before_it_locks"),
    model("loans::two_returns_against_two_waiters", "clears_its_token_before_it_parks_again"),
    model("loans::newcomer_at_the_end_of_the_window", "takes_what_is_idle_in_a_second_transaction"),
    model("loans::resize_down_against_return", "reads_the_sizes_before_it_locks"),
    model("tasks::delivery_against_drop", "looks_for_a_delivery_before_it_leaves"),
    model("tasks::reclaim_against_poll", "strikes_out_who_did_not_come"),
    model("tasks::reclaim_against_newcomer", "looks_before_it_watches"),
    model("tasks::close_against_delivery", "queues_again_in_a_closed_pool"),
    model("token::wake_up_against_parking", "forgets_who_woke_it_just_now"),
    model("calls::failed_connect_against_waiter", "looks_whether_it_is_over_before_it_disarms"),
    wide("calls::abort_against_finish", "unlocks_before_it_fires"),
    wide("calls::late_reset_against_waiter", "unlocks_before_it_fires"),
    model("calls::write_off_against_return", "looks_whether_it_is_over_before_it_leaves"),
    model("calls::refused_waiter_against_delivery", "looks_for_an_eviction_before_it_refuses"),
    model("calls::evict_against_opening", "looks_for_an_eviction_before_it_admits"),
    model("closing::close_against_get", "looks_and_queues_apart"),
    model("closing::cancel_against_finish_against_close", "aborts_what_came_back"),
    model("closing::close_within_and_its_watchers", "unlocks_before_it_waits_for_the_end"),
    model("closing::last_handle_against_last_guard", "looks_whether_it_is_the_last_before_it_lets_go"),
    model("workers::alarms_ordered_while_an_earlier_one_rings", "unlocks_before_it_replaces_an_alarm"),
    model("workers::submit_against_retire", "unlocks_before_it_leaves_its_seat"),
    wide("cancelling::cancel_against_return", "looks_for_the_loan_before_it_condemns_it"),
    model("cancelling::interrupt_against_return", "unlocks_before_it_interrupts"),
    model("closing::detach_against_close", "looks_for_a_close_before_it_locks"),
    model("fast::return_against_waiter", "parks_without_a_second_look"),
    model("fast::checkout_against_waiter", "swaps_without_order"),
    model("fast::return_against_evict", "empties_a_cache_before_it_shuts_it"),
    model("fast::return_against_reopening", "lends_what_is_parked_in_any_version"),
    model("fast::return_against_look", "lets_what_is_late_stay"),
    model("fast::return_against_last_handle", "looks_again_before_it_parks"),
    model("fast::two_returns_against_waiter", "parks_elsewhere_what_it_displaces"),
    model("fast::resize_down_against_returns", "keeps_what_comes_home_late"),
    model("fast::loans_against_reader", "counts_a_loan_before_it_writes_it"),
];

/// Tests that race many threads again and again, to meet a rare interleaving by chance. They may catch a seeded bug, which does not mean
/// that a single order of events reveals it.
pub(super) const RACES: &[&str] = &[
    "gauges::a_handler_that_counts_agrees_with_the_pool_after_stress",
    "limit::the_limit_holds_under_stress_with_discards_detaches_panics_and_evictions",
    "order::a_time_out_that_races_a_return_loses_neither_the_waiter_nor_the_connection",
    // Every test of that name.
    "product::no_slot_is_lost",
    "workers::tests::after_a_burst_under_a_light_load_one_thread_is_left",
    "young::sessions_that_are_killed_at_random_are_replaced_at_once_where_others_serve",
];

const fn model(name: &'static str, bug: &'static str) -> Model {
    Model { name, bug, preemptions: 3 }
}

/// A model with so many schedules that it runs with one forced switch less.
const fn wide(name: &'static str, bug: &'static str) -> Model {
    Model { preemptions: 2, ..model(name, bug) }
}
