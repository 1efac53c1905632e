//! One chart as SVG: lines with markers, and the pools' names beside the plot area. It follows the colour scheme of the page around it.
//!
//! plotters draws it in the colours of the light scheme; a style sheet within the file replaces them in the dark one.

use super::looks::{GRID, INK, MUTED, PAPER, SCALE, SHADE, US, look, style_sheet};
use anyhow::Result;
use plotters::coord::ranged1d::{KeyPointHint, NoDefaultFormatting, ValueFormatter};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use std::ops::Range;

pub struct Chart {
    pub title: String,
    /// A smaller line below the title.
    pub subtitle: String,
    pub x: Axis,
    pub y: Axis,
    pub lines: Vec<Line>,
    /// Where on the x axis each line has a marker.
    pub markers: Vec<f64>,
    /// A span of the x axis with a shaded background, and its label.
    pub shaded: Option<(f64, f64, &'static str)>,
}

/// Positions are linear: the caller takes the logarithms.
#[derive(Clone)]
pub struct Axis {
    pub title: &'static str,
    pub from: f64,
    pub to: f64,
    pub ticks: Vec<(f64, String)>,
}

pub struct Line {
    pub pool: String,
    pub points: Vec<(f64, f64)>,
}

impl Chart {
    pub fn svg(&self) -> Result<String> {
        let mut svg = String::new();
        let (width, height) = SIZE;
        self.draw(SVGBackend::with_string(&mut svg, (width * SCALE as u32, height * SCALE as u32)))?;
        let body = svg.split_once('\n').map_or("", |(_, body)| body);
        let view = format!("viewBox=\"0 0 {} {}\"", width * SCALE as u32, height * SCALE as u32);
        let head = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" {view} role=\"img\">"
        );
        Ok(format!("{head}\n<title>{}</title>\n{}{body}", self.title, style_sheet()))
    }

    fn draw(&self, backend: SVGBackend) -> Result<()> {
        let area = backend.into_drawing_area();
        area.fill(&PAPER)?;
        area.draw(&Text::new(&*self.title, (MARGIN, 14 * SCALE), text(17.0, FontStyle::Bold, INK)))?;
        area.draw(&Text::new(&*self.subtitle, (MARGIN, 38 * SCALE), text(13.0, FontStyle::Normal, MUTED)))?;
        let mut chart = ChartBuilder::on(&area)
            .margin(MARGIN)
            .margin_top(74 * SCALE)
            .margin_right(LEGEND)
            .x_label_area_size(48 * SCALE)
            .y_label_area_size(72 * SCALE)
            .build_cartesian_2d(self.x.clone(), self.y.clone())?;
        if let Some((from, to, _)) = self.shaded {
            chart.draw_series([Rectangle::new([(from, self.y.from), (to, self.y.to)], SHADE.filled())])?;
            let edges = [from, to].map(|x| PathElement::new([(x, self.y.from), (x, self.y.to)], stroke(MUTED, 1)));
            chart.draw_series(edges)?;
        }
        chart
            .configure_mesh()
            .bold_line_style(stroke(GRID, 1))
            .axis_style(stroke(MUTED, 1))
            .set_all_tick_mark_size(6 * SCALE)
            .label_style(text(12.5, FontStyle::Normal, INK))
            .axis_desc_style(text(12.5, FontStyle::Normal, MUTED))
            .x_desc(self.x.title)
            .y_desc(self.y.title)
            .draw()?;
        if let Some((from, to, label)) = self.shaded {
            let (x, y) = chart.backend_coord(&((from + to) / 2.0, self.y.to));
            let style = text(12.5, FontStyle::Normal, MUTED).pos(Pos::new(HPos::Center, VPos::Center));
            area.draw(&Text::new(label, (x, y - 9 * SCALE), style))?;
        }
        let (right, bottom) = chart.backend_coord(&(self.x.to, self.y.from));
        let mut ends = Vec::new();
        for line in &self.lines {
            let look = look(&line.pool);
            let shown = line.points.iter().filter(|(x, _)| (self.x.from..=self.x.to).contains(x));
            let at = |(x, y): &(f64, f64)| chart.backend_coord(&(*x, y.clamp(self.y.from, self.y.to)));
            let path: Vec<_> = shown.clone().map(at).collect();
            ends.extend(path.last().map(|end| (*end, line)));
            area.draw(&PathElement::new(path, stroke(look.color, if line.pool == US { 4 } else { 2 })))?;
            for marker in &self.markers {
                let nearest = shown.clone().min_by(|a, b| (a.0 - marker).abs().total_cmp(&(b.0 - marker).abs()));
                for polygon in nearest.into_iter().flat_map(|point| look.marker(at(point))) {
                    area.draw(&polygon)?;
                }
            }
        }
        ends.sort_by_key(|((_, y), _)| *y);
        let heights = spread(ends.iter().map(|((_, y), _)| *y).collect(), bottom);
        for ((end, line), y) in ends.into_iter().zip(heights) {
            let (look, x) = (look(&line.pool), right + 34 * SCALE);
            let bend = [(right + 6 * SCALE, end.1), (x - 10 * SCALE, y)];
            area.draw(&PathElement::new([end, bend[0], bend[1], (x, y)], stroke(look.color, 1)))?;
            for polygon in look.marker((x, y)) {
                area.draw(&polygon)?;
            }
            let weight = if line.pool == US { FontStyle::Bold } else { FontStyle::Normal };
            let style = text(13.0, weight, INK).pos(Pos::new(HPos::Left, VPos::Center));
            area.draw(&Text::new(&*line.pool, (x + 12 * SCALE, y), style))?;
        }
        area.present()?;
        Ok(())
    }
}

impl Ranged for Axis {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    fn map(&self, at: &f64, (start, end): (i32, i32)) -> i32 {
        start + ((at - self.from) / (self.to - self.from) * f64::from(end - start)).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, hint: Hint) -> Vec<f64> {
        if hint.weight().allow_light_points() { Vec::new() } else { self.ticks.iter().map(|(at, _)| *at).collect() }
    }

    fn range(&self) -> Range<f64> {
        self.from..self.to
    }
}

impl ValueFormatter<f64> for Axis {
    fn format_ext(&self, at: &f64) -> String {
        self.ticks.iter().find(|(tick, _)| tick == at).map_or(String::new(), |(_, label)| label.clone())
    }
}

/// The heights of labels, in their order, so far apart that they do not touch, and none below the bottom.
fn spread(mut heights: Vec<i32>, bottom: i32) -> Vec<i32> {
    for next in 1..heights.len() {
        heights[next] = heights[next].max(heights[next - 1] + SPACING);
    }
    let mut limit = bottom;
    for height in heights.iter_mut().rev() {
        *height = (*height).min(limit);
        limit = *height - SPACING;
    }
    heights
}

/// plotters divides sizes by 1.24.
fn text(pixels: f64, weight: FontStyle, color: RGBColor) -> TextStyle<'static> {
    ("sans-serif", pixels * f64::from(SCALE) * 1.24).into_font().style(weight).color(&color)
}

fn stroke(color: RGBColor, width: i32) -> ShapeStyle {
    color.stroke_width((width * SCALE) as u32)
}

const SIZE: (u32, u32) = (860, 440);
const MARGIN: i32 = 12 * SCALE;
/// Right of the plot area, for the names.
const LEGEND: i32 = 166 * SCALE;
/// Between the names of two pools.
const SPACING: i32 = 20 * SCALE;

#[cfg(test)]
pub mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// No text is clipped, the names are beside the plot area, markers differ, and each colour has another in the dark scheme.
    pub fn assert_legible(svg: &str, pools: &[&str]) {
        let right = values(svg, "x2").into_iter().fold(0.0, f64::max);
        for text in svg.split("<text").skip(1) {
            let number = |name: &str| values(text, name)[0];
            let (x, y, size) = (number("x"), number("y"), number("font-size"));
            let said = text.split_once('>').expect("its end").1.split_once('<').expect("the end tag").0.trim();
            let length = said.chars().count() as f64 * size * WIDTH_OF_LETTER;
            let share =
                |all: [(&str, f64); 3]| all.into_iter().find(|(of, _)| text.contains(of)).expect("one of them").1;
            let left = length * share([("\"start\"", 0.0), ("\"middle\"", 0.5), ("\"end\"", 1.0)]);
            let above = size * share([("\"0.76em\"", 0.0), ("\"0.5ex\"", 0.5), ("\"-0.5ex\"", 1.0)]);
            // The title of the y axis runs upwards.
            let ((from, room), (top, depth)) = match text.contains("rotate(270") {
                true => ((HEIGHT - y - left, HEIGHT), (x - above, WIDTH)),
                false => ((x - left, WIDTH), (y - above, HEIGHT)),
            };
            assert!(from >= 0.0 && from + length <= room && top >= 0.0 && top + size <= depth, "{said:?} is clipped");
            assert!(!pools.contains(&said) || x > right, "{said:?} is on the plot area");
        }
        let shapes: BTreeSet<_> = pools.iter().map(|pool| format!("{:?}", look(pool).shape)).collect();
        assert_eq!(shapes.len(), pools.len(), "{pools:?}");
        pools.iter().for_each(|pool| assert!(svg.contains(&format!(">\n{pool}\n<")), "no name for {pool}"));
        let (_, dark) = svg.split_once("prefers-color-scheme: dark").expect("a dark scheme");
        let (sheet, body) = dark.split_once("</style>").expect("its end");
        for color in body.split("=\"#").skip(1).map(|rest| &rest[..6]) {
            assert!(sheet.contains(&format!("[fill=\"#{color}\"]")), "#{color} stays as it is in the dark");
        }
    }

    /// The numbers that an attribute has, in the order of the elements.
    fn values(svg: &str, name: &str) -> Vec<f64> {
        let before = format!(" {name}=\"");
        svg.split(&before).skip(1).filter_map(|rest| rest.split_once('"')?.0.parse().ok()).collect()
    }

    const WIDTH: f64 = (SIZE.0 * SCALE as u32) as f64;
    const HEIGHT: f64 = (SIZE.1 * SCALE as u32) as f64;
    /// Of broad fonts, in the size of the font.
    const WIDTH_OF_LETTER: f64 = 0.6;

    #[test]
    fn names_keep_their_distance_and_stay_above_the_bottom() {
        assert_eq!(spread(vec![0, 100, 150, 900], 1000), [0, 200, 400, 900]);
        assert_eq!(spread(vec![900, 950, 990], 1000), [600, 800, 1000]);
    }
}
