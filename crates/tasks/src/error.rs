//! What can go wrong with the book of runs and with what a human asks of it.

/// Why something asked of the tasks could not be done.
#[derive(Debug, thiserror::Error)]
pub enum TaskError {
    /// There is no such run.
    #[error("there is no run {0}")]
    NoRun(String),
    /// There is no such task.
    #[error("there is no task {0}")]
    NoTask(String),
    /// The run is not in a state in which this can be done.
    #[error("{what}: the run is {status}")]
    NotNow {
        /// What was asked.
        what: String,
        /// The state that the run is in.
        status: String,
    },
    /// What was given is not what the task or step takes.
    #[error("{0}")]
    Wrong(String),
    /// Something is as large or as many as it may be.
    #[error("{what}: at most {most}")]
    TooMuch {
        /// What there is too much of.
        what: &'static str,
        /// The bound.
        most: u64,
    },
    /// A definition or a history in the book cannot be read.
    #[error("reading {what} from the book of runs: {why}")]
    Book {
        /// What was read.
        what: String,
        /// Why it cannot be.
        why: String,
    },
    /// Another worker has taken the run over, since the lease of this one had ended.
    #[error("the run belongs to another worker now")]
    Lost,
    /// The run's history has grown since it was read.
    #[error("the run has changed meanwhile")]
    Changed,
    /// The book did not answer for as long as a lease lasts.
    #[error("the book of runs does not answer")]
    Late,
    /// A statement failed.
    #[error("asking the book of runs")]
    Database(#[from] sqlx::Error),
    /// The tables could not be brought up to date.
    #[error("bringing the book of runs up to date")]
    Migration(#[from] sqlx::migrate::MigrateError),
    /// The folder of the book cannot be made.
    #[error("preparing the folder of the book of runs")]
    Folder(#[from] std::io::Error),
}
