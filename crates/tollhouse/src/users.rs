//! `tollhouse user …`: users of the console, who sign in by name and password. A password is asked for or read from standard
//! input, never an argument: those can be read by everybody on the machine.

use std::fmt::Write as _;
use std::io::{BufRead, IsTerminal};

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use tollhouse_journal::{Journal, Level, Record};
use tollhouse_state::{Keeping, Origin, Role, State, USERS_MAX, User};

use crate::cli::ConfigArgs;
use crate::say;

/// Where these records come from.
const CALLER: &str = "tollhouse/users.rs";
/// Longest line that is taken as a password, in bytes.
const LINE_BYTES_MAX: u64 = 4096;

#[derive(Debug, Args)]
pub(crate) struct UserArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
    #[command(subcommand)]
    pub(crate) command: UserCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum UserCommand {
    /// Make a user; the password is asked for, or read from standard input
    #[command(after_help = "\
Examples:
  tollhouse user create ann --role operator
  pwgen -s 20 1 | tee password.txt | tollhouse user create ann --role viewer
  tollhouse user create ann --role admin --json < password.txt | jq -r .id

viewer: read, search, chat; operator: also silence, acknowledge, run probes, replay; admin: also keys, users, reload")]
    Create {
        /// The name to sign in with
        name: String,
        /// What the user may do
        #[arg(long, value_parser = role, default_value = "viewer")]
        role: Role,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// List all users, without their passwords
    #[command(after_help = "\
Examples:
  tollhouse user list
  tollhouse user list --json | jq -r '.[] | select(.role == \"admin\") | .name'")]
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Give a user another role, in force at the user's next call
    #[command(after_help = "\
Examples:
  tollhouse user role ann operator")]
    Role {
        /// The user's name
        name: String,
        /// viewer, operator or admin
        #[arg(value_parser = role)]
        role: Role,
    },
    /// Give a user another password; the user's sessions end
    #[command(after_help = "\
Examples:
  tollhouse user password ann
  tollhouse user password ann < password.txt")]
    Password {
        /// The user's name
        name: String,
    },
    /// Remove a user; the user's sessions end within a second
    #[command(after_help = "\
Examples:
  tollhouse user remove ann")]
    Remove {
        /// The user's name
        name: String,
    },
}

fn role(word: &str) -> Result<Role, String> {
    Role::named(word).ok_or_else(|| "expected one of: viewer, operator, admin".to_owned())
}

pub(crate) async fn user(args: &UserArgs) -> anyhow::Result<()> {
    let config = args.config.load()?;
    let state = State::open(&config.data_dir).await?;
    let done = match &args.command {
        UserCommand::Create { name, role, json } => create(&state, name, *role, *json).await,
        UserCommand::List { json } => list(&state, *json).await,
        UserCommand::Role { name, role } => change_role(&state, name, *role).await,
        UserCommand::Password { name } => change_password(&state, name).await,
        UserCommand::Remove { name } => remove(&state, name).await,
    };
    state.close().await;
    done
}

async fn create(state: &State, name: &str, role: Role, as_json: bool) -> anyhow::Result<()> {
    let password = read_password()?;
    let user = match state.create_user(name, role, &password).await? {
        Keeping::Done(user) => user,
        Keeping::NameTaken => bail!("another user has the name {name}"),
        Keeping::Full | Keeping::Unknown => bail!("at most {USERS_MAX} users are kept"),
    };
    note(state, "user made", &user, json!({"role_now": role.name()})).await?;
    if as_json {
        return say(&format!("{}\n", json!(user)));
    }
    say(&format!("user {} is made, with the role {}\n", user.name, role.name()))
}

async fn list(state: &State, as_json: bool) -> anyhow::Result<()> {
    let users = state.users().await?;
    if as_json {
        return say(&format!("{}\n", json!(users)));
    }
    if users.is_empty() {
        eprintln!("no users yet; make one with: tollhouse user create NAME --role admin");
        return Ok(());
    }
    let width = users.iter().map(|user| user.name.chars().count()).max().unwrap_or(0).max(4);
    let mut out = format!("{:<width$}  {:<8}  {:<5}  LAST SIGN-IN\n", "NAME", "ROLE", "FROM");
    for user in users {
        let signed_in = user.signed_in_ms.and_then(moment).unwrap_or_else(|| "never".to_owned());
        writeln!(out, "{:<width$}  {:<8}  {:<5}  {signed_in}", user.name, user.role.name(), user.origin.name())?;
    }
    say(&out)
}

async fn change_role(state: &State, name: &str, role: Role) -> anyhow::Result<()> {
    let user = own(named(state, name).await?)?;
    state.set_role(&user.id, role).await?;
    let roles = json!({"role_before": user.role.name(), "role_now": role.name()});
    note(state, "role of a user changed", &user, roles).await?;
    say(&format!("user {} has the role {} now\n", user.name, role.name()))
}

async fn change_password(state: &State, name: &str) -> anyhow::Result<()> {
    let user = own(named(state, name).await?)?;
    let password = read_password()?;
    if !state.set_password(&user, &password, None).await? {
        bail!("{} is not there any more", user.name);
    }
    note(state, "password of a user set", &user, json!({})).await?;
    say(&format!("user {} has a new password; all sessions of this user have ended\n", user.name))
}

async fn remove(state: &State, name: &str) -> anyhow::Result<()> {
    let user = named(state, name).await?;
    state.remove_user(&user.id).await?;
    note(state, "user removed", &user, json!({})).await?;
    say(&format!("user {} is removed; all sessions of this user have ended\n", user.name))
}

/// A user whose role and password are this house's to set.
fn own(user: User) -> anyhow::Result<User> {
    if user.origin == Origin::Oidc {
        bail!("{} signs in at a provider, which says role and password", user.name);
    }
    Ok(user)
}

async fn named(state: &State, name: &str) -> anyhow::Result<User> {
    let found = state.user_named(name).await?;
    found.with_context(|| format!("there is no user with the name {name}; `tollhouse user list` shows them"))
}

/// A running house records it within a second, one that is started later at its start.
async fn note(state: &State, what: &str, user: &User, mut fields: Value) -> anyhow::Result<()> {
    fields["account"] = user.name.as_str().into();
    fields["account_id"] = user.id.as_str().into();
    fields["by"] = "command line".into();
    state.note_audit(what, &fields).await.context("noting what was done")
}

/// Writes down what the command line did, before it is forgotten.
pub(crate) async fn record_audits(state: &State, journal: &Journal) -> anyhow::Result<()> {
    for waiting in state.waiting_audits().await? {
        let mut record =
            Record::new("audit", Level::Info, waiting.what).caller(CALLER).field("done_ms", waiting.done_ms);
        for (name, value) in waiting.fields {
            record = record.field(&name, value);
        }
        journal.append_synced(record).await?;
        state.audit_recorded(waiting.number).await?;
    }
    Ok(())
}

/// One line of standard input; from a terminal it is asked for twice and not shown.
fn read_password() -> anyhow::Result<String> {
    if !std::io::stdin().is_terminal() {
        return read_line();
    }
    let first = ask("Password: ")?;
    if ask("Once more: ")? != first {
        bail!("the two passwords differ");
    }
    Ok(first)
}

/// Asks at the terminal, which does not show what is typed.
fn ask(prompt: &str) -> anyhow::Result<String> {
    rpassword::prompt_password(prompt).context("asking for a password")
}

fn read_line() -> anyhow::Result<String> {
    let mut line = String::new();
    let read = std::io::Read::take(std::io::stdin().lock(), LINE_BYTES_MAX).read_line(&mut line);
    read.context("reading a password from standard input")?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

fn moment(ms: i64) -> Option<String> {
    let moment = jiff::Timestamp::from_millisecond(ms).ok()?;
    Some(moment.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
}
