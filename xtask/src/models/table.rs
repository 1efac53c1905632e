//! The models of the core, each with the bug that it must catch. Every model has a row, and every seeded bug of the core is
//! in one.

pub(super) struct Model {
    /// As the test harness names it, below `models::`.
    pub(super) name: &'static str,
    pub(super) bug: &'static str,
    /// loom leaves out schedules with more forced switches than this; without a bound the models take hours.
    pub(super) preemptions: u8,
}

pub(super) const MODELS: &[Model] = &[
    model("loans::delivery_against_cancel", "looks_and_cancels_apart"),
    model("loans::return_against_enqueue", "clears_its_token_when_it_has_queued"),
    model("loans::two_returns_against_two_waiters", "clears_its_token_before_it_parks_again"),
    model("loans::newcomer_at_the_end_of_the_window", "takes_what_is_idle_in_a_second_transaction"),
    model("loans::resize_down_against_return", "reads_the_sizes_before_it_locks"),
    model("token::wake_up_against_parking", "unparks_before_it_says_why"),
    model("calls::failed_connect_against_waiter", "looks_whether_it_is_over_before_it_disarms"),
    model("calls::abort_against_finish", "disarm_does_not_wait"),
    model("calls::evict_against_opening", "asks_for_its_generation_after_it_looked"),
    model("closing::close_against_get", "looks_and_queues_apart"),
    model("closing::cancel_against_finish_against_close", "aborts_what_came_back"),
    model("closing::detach_against_close", "settles_by_an_earlier_look"),
];

const fn model(name: &'static str, bug: &'static str) -> Model {
    Model { name, bug, preemptions: 3 }
}
