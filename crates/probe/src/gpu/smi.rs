//! Cards and the programs on them by `nvidia-smi`, where NVIDIA's library is not there.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use nvml_wrapper::bitmasks::device::ThrottleReasons;
use tokio::io::AsyncReadExt;
use tokio::process::Command;

use super::{CARDS_MAX, Card, CardProcess, largest, slowed};
use crate::finding::cut;
use crate::http::TOLD_CHARS_MAX;

/// How long `nvidia-smi` may take: it wakes the driver where nothing else holds it.
const SMI_TIME_MAX: Duration = Duration::from_secs(20);
/// So much of what it says is read.
const SMI_BYTES_MAX: u64 = 64 << 10;
/// What it is asked of cards; the last two are not known to each version.
const SMI_CARDS: &str = "--query-gpu=index,name,memory.used,memory.total,utilization.gpu,temperature.gpu";
const SMI_MORE: &str = ",clocks_throttle_reasons.active,uuid";
/// What it is asked of programs on them.
const SMI_PROCESSES: &str = "--query-compute-apps=gpu_uuid,pid,process_name,used_gpu_memory";
const SMI_FORM: &str = "--format=csv,noheader,nounits";

/// What came of asking `nvidia-smi`.
pub(super) enum Smi {
    /// There is no such program, or no driver behind it.
    None,
    Cards(Vec<Card>),
    Failed(String),
}

/// Asks it for the cards, and for the programs on them.
pub(super) async fn smi(program: &Path) -> Smi {
    // Versions that do not know all of it say so, and are asked for less.
    let said = match ask_smi(program, &format!("{SMI_CARDS}{SMI_MORE}")).await {
        Asked::Failed(_) => ask_smi(program, SMI_CARDS).await,
        said => said,
    };
    let cards = match said {
        Asked::Nobody => return Smi::None,
        Asked::Failed(why) => return Smi::Failed(why),
        Asked::Text(text) => parse_cards(&text),
    };
    // Only where it can be told whose card a program is on.
    let has_uuids = cards.iter().any(|(_, uuid)| uuid.is_some());
    let processes = match if has_uuids { ask_smi(program, SMI_PROCESSES).await } else { Asked::Nobody } {
        Asked::Text(text) => parse_processes(&text),
        Asked::Nobody | Asked::Failed(_) => Vec::new(),
    };
    let of = |uuid: Option<&String>| {
        let own = processes.iter().filter(|(on, _)| Some(on) == uuid);
        largest(own.map(|(_, process)| process.clone()).collect())
    };
    Smi::Cards(cards.into_iter().map(|(card, uuid)| Card { processes: of(uuid.as_ref()), ..card }).collect())
}

/// What `nvidia-smi` says.
enum Asked {
    /// There is no such program, or no driver behind it.
    Nobody,
    Text(String),
    Failed(String),
}

async fn ask_smi(program: &Path, query: &str) -> Asked {
    let child = Command::new(program)
        .args([query, SMI_FORM])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn();
    let mut child = match child {
        Ok(child) => child,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Asked::Nobody,
        Err(error) => return Asked::Failed(format!("nvidia-smi cannot be run: {error}")),
    };
    let reading = async {
        let mut said = String::new();
        if let Some(out) = child.stdout.take() {
            out.take(SMI_BYTES_MAX).read_to_string(&mut said).await?;
        }
        Ok::<_, std::io::Error>((child.wait().await?, said))
    };
    match tokio::time::timeout(SMI_TIME_MAX, reading).await {
        Ok(Ok((status, said))) if status.success() => Asked::Text(said),
        // Its own words for "no driver" come with these.
        Ok(Ok((status, said))) if said.contains("No devices were found") || status.code() == Some(9) => Asked::Nobody,
        Ok(Ok((status, said))) => {
            Asked::Failed(cut(&format!("nvidia-smi ended with {status}: {said}"), TOLD_CHARS_MAX))
        }
        Ok(Err(error)) => Asked::Failed(format!("nvidia-smi cannot be read: {error}")),
        Err(_) => Asked::Failed(format!("nvidia-smi did not end within {} s", SMI_TIME_MAX.as_secs())),
    }
}

/// Lines such as `0, NVIDIA A10, 20000, 23028, 97, 66, 0x0000000000000004, GPU-5c…`; memory in MiB, the last two where they
/// were asked for. What a card does not tell stands in brackets. Each card with its UUID.
fn parse_cards(text: &str) -> Vec<(Card, Option<String>)> {
    let card = |line: &str| {
        let mut columns: Vec<&str> = line.split(',').map(str::trim).collect();
        let uuid = columns.pop_if(|last| last.starts_with("GPU-") || last.starts_with("MIG-")).map(str::to_owned);
        let reasons = if uuid.is_some() { columns.pop() } else { None };
        let reasons = reasons.and_then(|text| u64::from_str_radix(text.strip_prefix("0x")?, 16).ok());
        let [index, .., used, total, busy, heat] = columns[..] else { return None };
        // A name may have commas in it.
        let name = columns[1..columns.len() - 4].join(", ");
        index.parse::<u32>().ok()?;
        let card = Card {
            name: format!("{name} ({index})"),
            memory_used: mib(used),
            memory_total: mib(total),
            utilisation: number(busy),
            temperature: number(heat),
            slowed: slowed(ThrottleReasons::from_bits_truncate(reasons.unwrap_or_default())),
            processes: Vec::new(),
        };
        Some((card, uuid))
    };
    text.lines().filter_map(card).take(CARDS_MAX).collect()
}

/// Lines such as `GPU-5c…, 4711, /usr/bin/ollama, 12000`, each with the UUID of its card.
fn parse_processes(text: &str) -> Vec<(String, CardProcess)> {
    let process = |line: &str| {
        let columns: Vec<&str> = line.split(',').map(str::trim).collect();
        let [uuid, pid, .., used] = columns[..] else { return None };
        let path = columns.get(2..columns.len() - 1)?.join(", ");
        let name = path.rsplit('/').next().filter(|name| !name.is_empty() && !name.starts_with('['));
        let process = CardProcess { pid: pid.parse().ok()?, name: name.map(str::to_owned), memory: mib(used) };
        Some((uuid.to_owned(), process))
    };
    text.lines().filter_map(process).collect()
}

fn number(text: &str) -> Option<f64> {
    text.parse::<f64>().ok().filter(|number| *number >= 0.0)
}

fn mib(text: &str) -> Option<u64> {
    number(text).map(|mib| (mib * 1_048_576.0) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gpu::GpuLimits;
    use crate::said::Said;

    const LIMITS: GpuLimits = GpuLimits { memory_above: 90.0, temperature_above: 85.0, busy_above: 95.0 };

    #[test]
    fn the_words_of_nvidia_smi_are_understood() {
        let parse = |text: &str| parse_cards(text).into_iter().map(|(card, _)| card).collect::<Vec<_>>();
        let cards = parse("0, NVIDIA A10, 22000, 23028, 97, 66\n1, NVIDIA GB10, [N/A], [N/A], 0, 40\nnonsense\n");
        assert_eq!(cards.len(), 2);
        assert_eq!(cards[0].memory_percent(), Some(95.5));
        assert_eq!(cards[0].memory_total, Some(23_028 << 20));
        let silent =
            Card { name: "NVIDIA GB10 (1)".into(), utilisation: Some(0.0), temperature: Some(40.0), ..Card::default() };
        assert_eq!(cards[1], silent);
        // As version 550 writes them: too hot, and at its bound for power.
        let hot = parse_cards("0, NVIDIA A10, 22000, 23028, 97, 91, 0x0000000000000024, GPU-5c1f\n");
        assert_eq!((&hot[0].0.slowed, hot[0].1.as_deref()), (&vec!["heat", "power"], Some("GPU-5c1f")));
        let trouble = hot[0].0.trouble(&LIMITS).unwrap();
        assert_eq!(trouble.last(), Some(&Said::CardSlowed { why: "heat".to_owned() }));
        assert!(parse("0, A10, 1, 2, 3, 4, [N/A], GPU-1")[0].slowed.is_empty());
        let processes = parse_processes(
            "GPU-5c1f, 4711, /usr/lib/ollama/runner, 12000\nGPU-5c1f, 4712, [Not Found], [N/A]\nnonsense\n",
        );
        let runner = CardProcess { pid: 4711, name: Some("runner".into()), memory: Some(12_000 << 20) };
        let unknown = CardProcess { pid: 4712, ..CardProcess::default() };
        assert_eq!(processes, [("GPU-5c1f".to_owned(), runner), ("GPU-5c1f".to_owned(), unknown)]);
    }
}
