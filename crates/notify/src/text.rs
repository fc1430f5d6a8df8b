//! A message as plain text, as HTML and as the Markdown that chat robots understand.

use std::fmt::Write;

use tollhouse_web::escaped;

use crate::message::{Message, Phase, Table};

/// The figures, a line each.
pub(crate) fn figures(message: &Message) -> String {
    let lines: Vec<String> =
        message.figures.iter().map(|figure| format!("{}: {}", figure.name, figure.value)).collect();
    lines.join("\n")
}

/// All that a message says below its title, as plain text.
pub(crate) fn plain(message: &Message) -> String {
    let mut parts: Vec<String> = (!message.text.is_empty()).then(|| message.text.clone()).into_iter().collect();
    if !message.figures.is_empty() {
        parts.push(figures(message));
    }
    if !message.worst.is_empty() {
        parts.push(format!("Worst:\n{}", indented(&message.worst)));
    }
    if !message.timeline.is_empty() {
        parts.push(format!("What happened:\n{}", indented(&message.timeline)));
    }
    parts.extend(message.tables.iter().map(aligned));
    if let Some(link) = &message.link {
        parts.push(format!("Look: {link}"));
    }
    if let Some(link) = &message.acknowledge {
        parts.push(format!("Say that you look after it: {link}"));
    }
    if let Some(runbook) = &message.runbook {
        parts.push(format!("What to do: {runbook}"));
    }
    parts.push(foot(message));
    parts.join("\n\n")
}

/// The same as HTML, without anything that is loaded from elsewhere; `chart` is the address of the picture in the same mail.
pub(crate) fn html(message: &Message, chart: Option<&str>) -> String {
    let colour = match message.state {
        Phase::Firing => "#b3261e",
        Phase::Resolved => "#1e7a34",
        Phase::Digest | Phase::Report | Phase::Test => "#444444",
    };
    let mut out = String::from("<!doctype html><html><body style=\"font-family:sans-serif\">");
    write(&mut out, format_args!("<h2 style=\"color:{colour}\">{}</h2>", escaped(&message.title)));
    for line in message.text.lines() {
        write(&mut out, format_args!("<p>{}</p>", escaped(line)));
    }
    if !message.figures.is_empty() {
        out.push_str("<table cellpadding=\"4\">");
        for figure in &message.figures {
            let (name, value) = (escaped(&figure.name), escaped(&figure.value));
            write(&mut out, format_args!("<tr><td>{name}</td><td><b>{value}</b></td></tr>"));
        }
        out.push_str("</table>");
    }
    if let (Some(address), Some(chart)) = (chart, &message.chart) {
        let title = escaped(&chart.title);
        write(&mut out, format_args!("<p><img src=\"{address}\" alt=\"{title}\" width=\"560\" height=\"200\"></p>"));
    }
    for (heading, lines) in [("Worst:", &message.worst), ("What happened:", &message.timeline)] {
        if lines.is_empty() {
            continue;
        }
        write(&mut out, format_args!("<p>{heading}</p><ul>"));
        for line in lines {
            write(&mut out, format_args!("<li><code>{}</code></li>", escaped(line)));
        }
        out.push_str("</ul>");
    }
    for table in &message.tables {
        write_table(&mut out, table);
    }
    if let Some(link) = &message.acknowledge {
        let link = escaped(link);
        write(&mut out, format_args!("<p><a href=\"{link}\">Say that you look after it</a></p>"));
    }
    if let Some(link) = &message.link {
        let link = escaped(link);
        write(&mut out, format_args!("<p><a href=\"{link}\">{link}</a></p>"));
    }
    if let Some(runbook) = &message.runbook {
        write(&mut out, format_args!("<p><b>What to do:</b> {}</p>", escaped(runbook)));
    }
    write(&mut out, format_args!("<p style=\"color:#777777\">{}</p></body></html>", escaped(&foot(message))));
    out
}

fn write_table(out: &mut String, table: &Table) {
    let row = |out: &mut String, tag: &str, cells: &[String]| {
        out.push_str("<tr>");
        for cell in cells {
            write(out, format_args!("<{tag} align=\"left\">{}</{tag}>", escaped(cell)));
        }
        out.push_str("</tr>");
    };
    write(out, format_args!("<p><b>{}</b></p><table cellpadding=\"4\">", escaped(&table.title)));
    row(out, "th", &table.columns);
    for cells in &table.rows {
        row(out, "td", cells);
    }
    out.push_str("</table>");
}

fn indented(lines: &[String]) -> String {
    lines.iter().map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n")
}

/// A table in columns of one width each.
pub(crate) fn aligned(table: &Table) -> String {
    let rows = || std::iter::once(&table.columns).chain(&table.rows);
    let width = |column: usize| rows().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    let line = |row: &Vec<String>| {
        let cells = row.iter().enumerate().map(|(column, cell)| {
            let room = width(column).unwrap_or_default().saturating_sub(cell.chars().count());
            format!("{cell}{}", " ".repeat(room))
        });
        format!("  {}", cells.collect::<Vec<_>>().join("  ").trim_end())
    };
    format!("{}\n{}", table.title, rows().map(line).collect::<Vec<_>>().join("\n"))
}

/// The same as the small part of Markdown that robots agree on, at most `bytes_max` long.
pub(crate) fn markdown(message: &Message, bytes_max: usize) -> String {
    let mut parts = vec![format!("### {}", message.headline()), message.text.clone()];
    parts.extend(message.figures.iter().map(|figure| format!("- {}: **{}**", figure.name, figure.value)));
    parts.extend(message.worst.iter().chain(&message.timeline).map(|line| format!("> {line}")));
    parts.extend(message.tables.iter().map(aligned));
    if let Some(runbook) = &message.runbook {
        parts.push(runbook.clone());
    }
    let link = message.link.as_ref().map(|link| format!("\n\n[{link}]({link})")).unwrap_or_default();
    let seen = message.acknowledge.as_ref().map(|link| format!("\n\n[I look after it]({link})")).unwrap_or_default();
    let link = format!("{link}{seen}");
    // The links are what one needs most where not all has room.
    format!("{}{link}", shortened(&parts.join("\n\n"), bytes_max.saturating_sub(link.len())))
}

/// A text of at most so many bytes, cut between characters.
pub(crate) fn shortened(text: &str, bytes_max: usize) -> String {
    if text.len() <= bytes_max {
        return text.to_owned();
    }
    let end = text.floor_char_boundary(bytes_max.saturating_sub('…'.len_utf8()));
    format!("{}…", &text[..end])
}

fn foot(message: &Message) -> String {
    format!("tollhouse · {} · {} · {}", message.service, message.rule, message.at())
}

fn write(out: &mut String, what: std::fmt::Arguments<'_>) {
    out.write_fmt(what).expect("a String takes every text");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_cut_between_characters() {
        assert_eq!(shortened("模型很慢", 12), "模型很慢");
        assert_eq!(shortened("模型很慢", 11), "模型…");
        assert_eq!(shortened("abc", 0), "…");
        assert_eq!(escaped("<a href='x'>&\""), "&lt;a href=&#39;x&#39;&gt;&amp;&quot;");
    }
}
