//! All that advice says, by codes with figures and as English words: what was found, how sure that is, and what to change (`do_…`).

use tollhouse_units::catalogue;

catalogue! {
    /// One thing that advice says.
    pub enum Advised;

    // Prompts.
    prompts_few => PromptsFew { requests: usize, needed: usize }
        "{requests} requests with a first token; a line needs {needed} of differing length";
    sure_not => SureNot {} "not at all";
    prompts_cost => PromptsCost { per_thousand_ms: f64, tokens_median: f64, tokens_long: f64 }
        "1,000 tokens of prompt take {} before the first token; the middle prompt has {tokens_median:.0} tokens, one in twenty more than {tokens_long:.0}",
        seconds(*per_thousand_ms);
    sure_cost => SureCost { low_ms: f64, high_ms: f64, requests: usize }
        "95%: {} to {}, by {requests} requests", seconds(*low_ms), seconds(*high_ms);
    do_shorten => DoShorten { tokens: f64, low_ms: f64, high_ms: f64 }
        "shorten prompts, or let what is the same stand first so that it is cached: prompts of half the length ({tokens:.0} tokens) begin {} to {} sooner",
        seconds(*low_ms), seconds(*high_ms);

    // Contexts.
    prompts_cut => PromptsCut { cut: usize, refused: usize, requests: usize }
        "{cut} prompts were cut and {refused} refused of {requests}";
    room => Room { context: u32 } "with a context of {context}";
    room_unknown => RoomUnknown {} "with an unknown context";
    lengths => Lengths { tokens_usual: f64, tokens_longest: f64 }
        "of 100 prompts 99 have up to {tokens_usual:.0} tokens, the longest has {tokens_longest:.0}";
    sure_room => SureRoom { share_percent: f64, low_percent: f64, high_percent: f64 }
        "share that does not fit: {share_percent:.1}% (95%: {low_percent:.1}–{high_percent:.1}%)";
    do_context => DoContext { model: String, context: f64, answer_tokens: f64, times: f64 }
        "models: {{\"{model}\": {{context: {context:.0}}}}}: 99 of 100 prompts fit then with {answer_tokens:.0} tokens for the answer. The context's memory grows with it ({times:.1} times); see `memory`";

    // Loads.
    loads_none => LoadsNone {} "no model was loaded while somebody waited";
    sure_all => SureAll { requests: u64 } "by all {requests} requests";
    loads_seen => LoadsSeen { count: usize, per_hour: f64, waited_s: f64, by_models: usize, by_context: usize, by_end: usize }
        "{count} loads while somebody waited, {per_hour:.2} an hour; they took {waited_s:.0} s together. {by_models} came after another model's, {by_context} by another context, {by_end} after a pause";
    loads_by => LoadsBy { clients: String } "asked by {clients}";
    sure_loads => SureLoads { low: f64, high: f64 } "95%: {low:.2} to {high:.2} an hour";
    do_side_by_side => DoSideBySide { models: String }
        "these push each other out of memory: {models}. Let them lie side by side (OLLAMA_MAX_LOADED_MODELS=2, where the card has room: see `memory`), or let one model do both";
    do_one_context => DoOneContext {}
        "one `context` for everybody under `models`, and nobody around the gate: each other num_ctx loads the model anew";
    do_keep_alive => DoKeepAlive { saved_s: f64 }
        "`keep_alive: 24h` (or -1) for its models: up to {saved_s:.0} s of waiting an hour less";

    // The queue.
    waited => Waited { waited: u64, requests: u64, limit_s: u64 }
        "{waited} of {requests} requests waited more than {limit_s} s for their turn";
    waited_most => WaitedMost { from_hour: usize, to_hour: usize, waited: u64, requests: u64 }
        "most between {from_hour}:00 and {to_hour}:00 UTC ({waited} of {requests})";
    sure_share => SureShare { share_percent: f64, low_percent: f64, high_percent: f64 }
        "{share_percent:.1}% (95%: {low_percent:.1}–{high_percent:.1}%)";
    do_raise_parallel => DoRaiseParallel {}
        "raise `parallel` by one step and look again: others begin sooner, each writes somewhat more slowly, and the context's memory is needed once more for each. A second server of the same model halves the waiting";
    do_parallel_now => DoParallelNow { servers: String } "(at once now: {servers})";

    // The card's memory.
    memory_unsampled => MemoryUnsampled {}
        "the memory of a graphics card was not sampled: there is none here, or no driver tells of it";
    memory_peak => MemoryPeak { peak_percent: f64 } "the card was {peak_percent:.0}% full at its peak";
    memory_peak_of => MemoryPeakOf { peak_percent: f64, total_bytes: f64 }
        "the card was {peak_percent:.0}% of {:.0} GB full at its peak", total_bytes / 1e9;
    loads_daily => LoadsDaily { per_day: f64, waited_s: f64 }
        "{per_day:.1} loads a day came after another model's, {waited_s:.0} s of waiting a day";
    sure_samples => SureSamples { samples: u64 } "by {samples} samples; between two of them it may have been fuller";
    do_larger_card => DoLargerCard { saved_s: f64 }
        "a card of 48 GB would hold these models side by side: up to {saved_s:.0} s of waiting a day less";
    do_room_for_two => DoRoomForTwo {}
        "there is room: let models lie side by side (OLLAMA_MAX_LOADED_MODELS=2); no larger card is needed";
}

/// A time for people.
fn seconds(ms: f64) -> String {
    if ms.abs() >= 1000.0 { format!("{:.1} s", ms / 1000.0) } else { format!("{ms:.0} ms") }
}
