//! Reads the lines of a file as a source does, for counting what that costs without the rest of the house.
//!
//! ```text
//! lines cut FILE       cuts the file into lines
//! lines read FILE      and reads each as JSON
//! lines verbatim FILE  or leaves its fields as they stand
//! ```

use std::error::Error;
use std::path::Path;
use std::time::Instant;

use jiff::Zoned;
use tollhouse_collect::file::{Options, Pattern, Positions, Tailer};
use tollhouse_collect::formats::{Format, Verbatim};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [what, file] = arguments.as_slice() else { return Err("cut|read|verbatim FILE".into()) };
    let mut tailer = Tailer::new(Options::new(vec![Pattern::new(file)?]), Positions::new());
    let began = Instant::now();
    let (now, wanted) = (Zoned::now(), std::fs::metadata(Path::new(file))?.len());
    let (mut bytes, mut lines, mut fields) = (0, 0_u64, 0);
    while bytes < wanted {
        for line in tailer.step(began.elapsed()).lines {
            (lines, bytes) = (lines + 1, bytes + line.text.len() as u64 + 1);
            match what.as_str() {
                "read" => fields += Format::Json.read(&line.text, &now).fields.len(),
                "verbatim" => fields += Verbatim::read(&line.text).map_or(0, |line| line.fields.len()),
                _ => {}
            }
        }
    }
    let told = format!("{lines} lines, {fields} fields\n");
    std::io::Write::write_all(&mut std::io::stdout(), told.as_bytes())?;
    Ok(())
}
