//! VRL programs that shape collected lines: compiled once, run for each line, with bounds and without a way out.
//!
//! - [`Program`] is a compiled program. [`Program::run`] takes what a line says as a JSON object, and gives what the program made
//!   of it; or why there is nothing, as [`Stopped`].
//! - [`Faults`] is what the compiler has to say of a program that it does not take: each [`Fault`] with its place in the program,
//!   the line that it stands in, and advice.
//!
//! A program knows the functions in [`ALLOWED`]. None of those reaches the network, a file, the environment, another process or a
//! log, waits, backtracks, or unpacks what is packed; [`DENIED`] says why each of the others is missing. A run ends after
//! [`STEPS_MAX`] expressions or [`TIME_MAX`].
//!
//! It never does I/O, and it knows nothing of journals or sources: which names a program may not have is for the caller to say.
//!
//! ```
//! use serde_json::json;
//! use tollhouse_remap::Program;
//!
//! let program = Program::compile(".took = to_int!(.took)\ndel(.secret)").expect("a program");
//! let event = json!({"msg": "done", "took": "42", "secret": "x"}).as_object().unwrap().clone();
//! assert_eq!(program.run(event), Ok(json!({"msg": "done", "took": 42}).as_object().unwrap().clone()));
//! assert!(Program::compile(".home = get_env_var!(\"HOME\")").unwrap_err().to_string().contains("reads the environment"));
//! ```

mod faults;
mod functions;
mod program;
mod values;

pub use faults::{Fault, Faults};
pub use functions::{ALLOWED, DENIED};
pub use program::{PROGRAM_BYTES_MAX, Program, STEPS_MAX, Stopped, TIME_MAX};
pub use values::DEPTH_MAX;
