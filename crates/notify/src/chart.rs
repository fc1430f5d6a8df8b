//! A small chart of what was measured, as a picture for mails.

use std::sync::Once;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use plotters::prelude::*;
use plotters::style::{FontStyle, register_font};
use serde::{Deserialize, Serialize};

/// Size of the picture.
const WIDTH: u32 = 560;
const HEIGHT: u32 = 200;
/// Points that one chart draws.
pub const CHART_POINTS_MAX: usize = 300;
/// The one font, with its licence beside it.
const FONT: &[u8] = include_bytes!("../font/Go-Regular.ttf");
const FONT_NAME: &str = "tollhouse";
const INK: RGBColor = RGBColor(0x33, 0x33, 0x33);
const GRID: RGBColor = RGBColor(0xe4, 0xe4, 0xe4);
const LINE: RGBColor = RGBColor(0x1f, 0x5f, 0xa8);
const LIMIT: RGBColor = RGBColor(0xb3, 0x26, 0x1e);
const USUAL: RGBColor = RGBColor(0x1e, 0x7a, 0x34);

/// What was measured, over time.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Chart {
    /// What it is, such as `average of duration_ms (qwen3:32b)`.
    pub title: String,
    /// Moments in milliseconds since 1970 UTC, in order, each with what was measured until then; none where there was nothing.
    pub points: Vec<(i64, Option<f64>)>,
    /// What is too much.
    pub limit: Option<f64>,
    /// What is usual.
    pub usual: Option<f64>,
}

impl Chart {
    /// The picture (PNG); none where there is nothing to draw.
    pub fn png(&self) -> Option<Vec<u8>> {
        let drawn: Vec<(i64, f64)> =
            self.points.iter().take(CHART_POINTS_MAX).filter_map(|(at, value)| Some((*at, (*value)?))).collect();
        let (first, last) = (self.points.first()?.0, self.points.last()?.0);
        if drawn.is_empty() || last <= first {
            return None;
        }
        let lines = [self.limit, self.usual].into_iter().flatten();
        let top = drawn.iter().map(|(_, value)| *value).chain(lines).fold(0.0_f64, f64::max);
        let low = drawn.iter().map(|(_, value)| *value).fold(0.0_f64, f64::min);
        if !(top - low).is_finite() {
            return None;
        }
        let mut pixels = vec![0xff; (WIDTH * HEIGHT * 3) as usize];
        let range = low..(top + (top - low).max(1e-9) * 0.1);
        self.draw(&mut pixels, &drawn, first..last, range).ok()?;
        encode(&pixels)
    }

    fn draw(
        &self,
        pixels: &mut [u8],
        drawn: &[(i64, f64)],
        times: std::ops::Range<i64>,
        values: std::ops::Range<f64>,
    ) -> Result<(), Box<dyn std::error::Error>> {
        static REGISTERED: Once = Once::new();
        REGISTERED.call_once(|| {
            // What is not a font is noticed by the test below.
            let _: Result<(), _> = register_font(FONT_NAME, FontStyle::Normal, FONT).map_err(|_| ());
        });
        let area = BitMapBackend::with_buffer(pixels, (WIDTH, HEIGHT)).into_drawing_area();
        area.fill(&WHITE)?;
        let text = |size| (FONT_NAME, size).into_font().color(&INK);
        let mut chart = ChartBuilder::on(&area)
            .margin(8)
            .caption(latin(&self.title), text(14))
            .x_label_area_size(22)
            .y_label_area_size(56)
            .build_cartesian_2d(times.clone(), values)?;
        let is_long = times.end - times.start > 24 * 3_600_000;
        let time = |at: &i64| moment(*at, is_long);
        let value = |value: &f64| short(*value);
        chart
            .configure_mesh()
            .disable_x_mesh()
            .bold_line_style(GRID)
            .light_line_style(WHITE)
            .axis_style(GRID)
            .label_style(text(12))
            .x_labels(6)
            .y_labels(5)
            .x_label_formatter(&time)
            .y_label_formatter(&value)
            .draw()?;
        for (line, colour) in [(self.limit, LIMIT), (self.usual, USUAL)] {
            if let Some(line) = line {
                chart.draw_series(LineSeries::new([(times.start, line), (times.end, line)], colour))?;
            }
        }
        // A gap stays one: each run of values by itself.
        for run in self.points.split(|(_, value)| value.is_none()) {
            let run: Vec<(i64, f64)> = run.iter().filter_map(|(at, value)| Some((*at, (*value)?))).collect();
            chart.draw_series(LineSeries::new(run, LINE.stroke_width(2)))?;
        }
        chart.draw_series(drawn.iter().map(|point| Circle::new(*point, 2, LINE.filled())))?;
        area.present()?;
        Ok(())
    }
}

/// The picture's bytes.
fn encode(pixels: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, WIDTH, HEIGHT);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.write_header().ok()?.write_image_data(pixels).ok()?;
    Some(bytes)
}

/// A moment by the system's clock; the day where more than one is shown.
fn moment(at_ms: i64, with_day: bool) -> String {
    let at = Timestamp::from_millisecond(at_ms).unwrap_or(Timestamp::UNIX_EPOCH).to_zoned(TimeZone::system());
    at.strftime(if with_day { "%d %H:%M" } else { "%H:%M" }).to_string()
}

/// A number in few characters.
fn short(value: f64) -> String {
    let size = value.abs();
    match size {
        size if size >= 1e9 => format!("{:.1}G", value / 1e9),
        size if size >= 1e6 => format!("{:.1}M", value / 1e6),
        size if size >= 1e4 => format!("{:.0}k", value / 1e3),
        size if size >= 10.0 || size == 0.0 => format!("{value:.0}"),
        _ => format!("{value:.2}"),
    }
}

/// The letters that the font has; what it has not stands in the mail's text.
fn latin(text: &str) -> String {
    text.chars().take(70).map(|c| if matches!(c, ' '..='~' | '\u{a0}'..='\u{ff}') { c } else { '·' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(points: Vec<(i64, Option<f64>)>) -> Chart {
        Chart { title: "average of duration_ms (模型)".into(), points, limit: Some(5000.0), usual: Some(1200.0) }
    }

    #[test]
    fn a_chart_is_a_picture_with_text_and_lines() {
        let points = (0..24).map(|n| (n * 300_000, (n != 7).then_some(900.0 + 250.0 * n as f64))).collect();
        let bytes = chart(points).png().unwrap();
        if let Some(path) = std::env::var_os("TOLLHOUSE_TEST_CHART") {
            std::fs::write(path, &bytes).unwrap();
        }
        let decoder = png::Decoder::new(std::io::Cursor::new(&bytes));
        let mut reader = decoder.read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut pixels).unwrap();
        assert_eq!((info.width, info.height), (WIDTH, HEIGHT));
        let has = |colour: RGBColor| pixels.chunks(3).any(|pixel| pixel == [colour.0, colour.1, colour.2]);
        assert!(has(LINE) && has(LIMIT) && has(USUAL));
        let dark = pixels.chunks(3).filter(|pixel| pixel.iter().all(|part| *part < 0x70)).count();
        assert!(dark > 200, "text is there: {dark}");
    }

    #[test]
    fn what_cannot_be_drawn_is_left_out() {
        for points in [
            vec![],
            vec![(1, Some(1.0))],
            vec![(1, None), (2, None)],
            vec![(1, Some(f64::NAN)), (2, Some(f64::INFINITY))],
        ] {
            assert_eq!(chart(points.clone()).png(), None, "{points:?}");
        }
        assert!(chart(vec![(1, Some(0.0)), (2, Some(0.0))]).png().is_some());
    }
}
