//! The report for people: `report.html`, one page without anything from elsewhere.

use crate::finding::{Check, Finding, Verdict};
use crate::report::{Conditions, Entry, GENERATOR};
use disktime_lab::LabResult;
use std::fmt::Write;
use std::ops::Range;

const STYLE: &str = "\
:root{color-scheme:light}\
body{font:16px/1.5 system-ui,sans-serif;color:#1a1a1a;background:#fff;max-width:62rem;margin:2rem auto;padding:0 1rem}\
h1{font-size:1.7rem;line-height:1.2}h2{font-size:1.25rem;margin:3rem 0 .3rem;padding-top:.8rem;border-top:2px solid #ddd}\
h3{font-size:1rem;margin:1.4rem 0 .3rem}\
table{border-collapse:collapse;font-size:.92rem;margin:.4rem 0}caption{text-align:left;font-weight:600;padding:.2rem 0}\
th,td{border:1px solid #ccc;padding:.25rem .55rem;vertical-align:top;text-align:left}\
td.n{text-align:right;font-variant-numeric:tabular-nums}thead th{background:#f3f3f3}\
.scroll{overflow-x:auto}\
.verdict{display:inline-block;padding:0 .5rem;border-radius:.3rem;font-weight:600;white-space:nowrap}\
.reproduced{background:#d5efe5;color:#00513b}.partly{background:#fbeccb;color:#6b4700}.failed{background:#f8dccb;color:#7a2f00}\
figure{margin:.8rem 0}figure svg{width:100%;height:auto;border:1px solid #ddd}\
dl{margin:.4rem 0}dt{font-weight:600}dd{margin:0 0 .4rem 0}.source{color:#555}\
h1,h2,p,li,dd{overflow-wrap:anywhere}\
@media(max-width:40rem){body{margin:1rem auto;padding:0 .6rem}h1{font-size:1.4rem}h2{font-size:1.1rem}\
.verdict{white-space:normal}figure{overflow-x:auto}figure svg{width:40rem;max-width:none}\
ul{padding-left:1.2rem}}";

/// The page.
///
/// # Errors
/// If a figure cannot be drawn.
pub fn page(conditions: &Conditions, entries: &[Entry]) -> LabResult<String> {
    let mut html = String::new();
    let _ = write!(
        html,
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"generator\" content=\"{GENERATOR}\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>The papers' figures, run again</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
    );
    introduction(&mut html, conditions, entries);
    summary(&mut html, entries);
    for entry in entries {
        section(&mut html, entry)?;
    }
    html.push_str("</body>\n</html>\n");
    Ok(html)
}

/// Text as it may stand in HTML.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

fn introduction(html: &mut String, conditions: &Conditions, entries: &[Entry]) {
    let papers = entries
        .iter()
        .filter(|entry| entry.experiment.origin == crate::Origin::Paper)
        .count();
    let _ = write!(
        html,
        "<h1>The papers' figures, run again</h1>\n\
         <p>{papers} claims of <em>Virtualizing Disk Performance</em> (Kaldewey, Wong, Golding, \
         Povzner, Brandt, Maltzahn; RTAS 2008), <em>Efficient Guaranteed Disk Request Scheduling \
         with Fahrrad</em> (Povzner, Kaldewey, Brandt, Golding, Wong, Maltzahn; EuroSys 2008) and \
         <em>Zygaria: Storage Performance as a Managed Resource</em> (Wong, Golding, Lin, \
         Becker-Szendy; RTAS 2006), and {own} of this project's own, which no paper makes.</p>\n\
         <p>Clock: {clock}. A verdict is computed from the checks below it. It is \
         <em>reproduced</em> when all hold, <em>partly</em> when the decisive ones and some others \
         do, and <em>not reproduced</em> otherwise. What is not known of a paper's set-up is said \
         under <em>deviations</em>; nothing was tuned to a verdict.</p>\n",
        own = entries.len() - papers,
        clock = escaped(&conditions.clock),
    );
    if let Some(stamp) = &conditions.stamp {
        let _ = writeln!(html, "<p class=\"source\">{}</p>", escaped(stamp));
    }
}

fn badge(verdict: Verdict) -> String {
    let class = match verdict {
        Verdict::Reproduced => "reproduced",
        Verdict::Partly => "partly",
        Verdict::NotReproduced => "failed",
    };
    format!("<span class=\"verdict {class}\">{}</span>", verdict.name())
}

fn summary(html: &mut String, entries: &[Entry]) {
    let columns = ["id", "experiment", "source", "verdict", "why"];
    let rows = entries.iter().map(|entry| {
        let experiment = &entry.experiment;
        let id = escaped(experiment.id);
        vec![
            format!("<a href=\"#{id}\">{id}</a>"),
            escaped(experiment.title),
            escaped(experiment.source),
            badge(entry.finding.verdict()),
            escaped(&entry.finding.reason()),
        ]
    });
    table(html, "Summary", &columns, rows, 0..0);
}

fn section(html: &mut String, entry: &Entry) -> LabResult {
    let experiment = &entry.experiment;
    let finding = &entry.finding;
    let _ = write!(
        html,
        "<h2 id=\"{id}\">{id}: {title} {badge}</h2>\n<dl>\n\
         <dt>Source</dt><dd class=\"source\">{source}</dd>\n<dt>Claim</dt><dd>{claim}</dd>\n\
         <dt>Set-up</dt><dd>{set_up}</dd>\n</dl>\n",
        id = escaped(experiment.id),
        title = escaped(experiment.title),
        badge = badge(finding.verdict()),
        source = escaped(experiment.source),
        claim = escaped(experiment.claim),
        set_up = escaped(finding.set_up()),
    );
    for figure in finding.figures() {
        let _ = write!(
            html,
            "<figure role=\"img\" aria-label=\"{}\">\n{}</figure>\n",
            escaped(figure.title()),
            figure.to_svg()?
        );
    }
    html.push_str("<h3>Measured</h3>\n");
    checks(html, finding.checks());
    for one in finding.tables() {
        let rows = one.rows().iter();
        let rows = rows.map(|row| row.iter().map(|cell| escaped(cell)).collect());
        let figures = 1..one.columns().len();
        table(html, one.title(), one.columns(), rows, figures);
    }
    verdict(html, finding);
    Ok(())
}

fn checks(html: &mut String, checks: &[Check]) {
    let columns = ["check", "expected", "tolerance", "measured", "holds"];
    let rows = checks.iter().map(|check| {
        let decisive = if check.is_decisive() {
            " <b>(decisive)</b>"
        } else {
            ""
        };
        vec![
            format!("{}{decisive}", escaped(check.what())),
            escaped(&check.expected_text()),
            escaped(&check.tolerance_text()),
            escaped(&check.measured_text()),
            if check.holds() { "yes" } else { "<b>no</b>" }.to_owned(),
        ]
    });
    table(html, "", &columns, rows, 1..4);
}

/// A table whose cells are HTML already; those of the columns in `figures` are figures.
fn table(
    html: &mut String,
    caption: &str,
    columns: &[impl AsRef<str>],
    rows: impl Iterator<Item = Vec<String>>,
    figures: Range<usize>,
) {
    html.push_str("<div class=\"scroll\"><table>\n");
    if !caption.is_empty() {
        let _ = writeln!(html, "<caption>{}</caption>", escaped(caption));
    }
    html.push_str("<thead><tr>");
    for column in columns {
        let _ = write!(html, "<th>{}</th>", escaped(column.as_ref()));
    }
    html.push_str("</tr></thead>\n<tbody>\n");
    for row in rows {
        html.push_str("<tr>");
        for (index, cell) in row.iter().enumerate() {
            let class = if figures.contains(&index) {
                " class=\"n\""
            } else {
                ""
            };
            let _ = write!(html, "<td{class}>{cell}</td>");
        }
        html.push_str("</tr>\n");
    }
    html.push_str("</tbody></table></div>\n");
}

fn verdict(html: &mut String, finding: &Finding) {
    let _ = write!(
        html,
        "<h3>Verdict</h3>\n<p>{} {}.</p>\n",
        badge(finding.verdict()),
        escaped(&finding.reason())
    );
    if !finding.notes().is_empty() {
        html.push_str("<h3>Deviations and notes</h3>\n<ul>\n");
        for note in finding.notes() {
            let _ = writeln!(html, "<li>{}</li>", escaped(note));
        }
        html.push_str("</ul>\n");
    }
}
