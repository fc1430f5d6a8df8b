//! What is wrong with a task's definition and only with one, by codes; what is wrong with files in general stands in `tollhouse_config`.

use tollhouse_config::reading::Said;

tollhouse_units::catalogue! {
    /// What is wrong with a definition, and what was expected in its place.
    pub enum Saying;

    // The task.
    task_name_or_file => TaskNameOrFile {} "give it a `name`, or name the file so";
    other_task => OtherTask { name: String, task: String } "the text is of the task {name}, not of {task}";
    no_zone => NoZone { zone: String } "there is no time zone `{zone}`";
    a_zone => AZone {} "a time zone such as Asia/Shanghai";
    cron_fields => CronFields { count: usize } "{count} fields stand here, not 5: minute hour day month weekday";
    cron => Cron { error: String } "{error}";
    a_cron => ACron {} "a cron line such as \"0 8 * * 1-5\": minute hour day month weekday";
    schedule_twice => ScheduleTwice {} "`schedule` is there too";
    one_of_two => OneOfTwo {} "one of the two";

    // Names.
    name_chars => NameChars { most: usize } "a name has 1 to {most} characters";
    no_name => NoName { name: String } "`{name}` is not a name";
    name_taken => NameTaken { name: String } "`{name}` has a meaning of its own";
    step_twice => StepTwice { name: String } "there is another step `{name}`";
    own_name => OwnName {} "a name of its own";

    // Steps.
    no_step => NoStep {} "no step stands here";
    one_step => OneStep {} "at least one step";
    step_idle => StepIdle {} "the step does not say what it does";
    step_doubled => StepDoubled { count: usize } "the step does {count} things";
    step_keys => StepKeys { keys: String } "one of the keys {keys}";
    nothing_under => NothingUnder { key: String } "nothing stands under `{key}`";
    keys_missing => KeysMissing {} "keys with values are missing";
    such_as => SuchAs { example: String } "such as {example}";
    schema => Schema { error: String } "the schema cannot be used: {error}";
    a_schema => ASchema {} "a JSON schema";
    misshapen => Misshapen { error: String } "{error}";
    template => Template { error: String } "{error}";
    a_template => ATemplate {} "a text with {{{{ names }}}} as in Jinja";
    known_after => KnownAfter {} "a step's value is known to the steps after it";
    sources => Sources { count: usize } "{count} sources stand here";
    one_source => OneSource {} "one of `search`, `report`, `forecast`, `file` and `url`";

    // What the house does not have.
    no_channel => NoChannel { name: String, known: String } "there is no channel {name}; `channels` of the configuration has {known}";
    no_forecast => NoForecast { name: String } "`{name}` is not forecast; there are requests and tokens";
    no_report => NoReport { name: String } "`{name}` is no report; there are errors, slow, tokens and top";
    no_command => NoCommand { name: String } "the command `{name}` is not among `tasks.commands` of the configuration";
}

impl From<Saying> for Said {
    fn from(saying: Saying) -> Self {
        Self::coded(&saying.to_string(), saying.to_json())
    }
}
