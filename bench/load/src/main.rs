//! Streams for the bench: a model server that drips tokens, and users who read them. Written so that both cost little
//! beside what is measured between them.

mod serve;
mod users;

use std::time::Duration;

use clap::{Args, Parser, Subcommand};

/// How large a head or the beginning of a stream may be.
const HEAD_MAX: usize = 16 << 10;

#[derive(Parser)]
#[command(about = "Streams for the bench: a model server that drips tokens, and users who read them")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// A model server with the OpenAI API: every chat is a stream.
    Serve {
        #[arg(long)]
        port: u16,
        #[arg(long)]
        tokens: u32,
        #[arg(long)]
        pause_ms: u64,
    },
    /// Users who each ask again and again, and read every stream to its end; prints what they saw as JSON.
    Users {
        #[command(flatten)]
        target: Target,
        #[arg(long)]
        users: u32,
        #[arg(long)]
        seconds: u64,
    },
    /// Streams that are opened and held until standard input ends; prints `ready` when each has begun.
    Hold {
        #[command(flatten)]
        target: Target,
        #[arg(long)]
        count: u32,
    },
}

/// Who is asked, and with which key.
#[derive(Args, Clone)]
struct Target {
    #[arg(long)]
    port: u16,
    #[arg(long, default_value = "none")]
    key: String,
}

impl Target {
    /// A chat that asks for a stream, as the bytes of a request.
    fn request(&self) -> Vec<u8> {
        let body = r#"{"model":"m","messages":[{"role":"user","content":"Say hello."}],"stream":true}"#;
        format!(
            "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            self.key,
            body.len(),
        )
        .into_bytes()
    }
}

fn main() -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        match Cli::parse().command {
            Command::Serve { port, tokens, pause_ms } => {
                serve::serve(port, tokens, Duration::from_millis(pause_ms)).await
            }
            Command::Users { target, users, seconds } => {
                users::users(&target, users, Duration::from_secs(seconds)).await
            }
            Command::Hold { target, count } => users::hold(&target, count).await,
        }
    })
}
