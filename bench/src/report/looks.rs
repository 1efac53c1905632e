//! How each pool looks in the charts, and their colours in the light and in the dark scheme.

use plotters::prelude::*;
use std::f64::consts::TAU;
use std::fmt::Write;

/// A pool looks the same in every chart. Within a chart, markers differ as well as colours.
pub struct Look {
    pub color: RGBColor,
    dark: RGBColor,
    /// Of the marker: the corners, the fraction of a turn by which it is rotated, and the distance of every second corner from the centre.
    pub shape: (usize, f64, f64),
    /// Pixels drawn, pixels left out.
    dashes: Option<(i32, i32)>,
}

impl Look {
    /// With an edge in the colour of the paper, which sets it off from the lines.
    pub fn marker(&self, (x, y): (i32, i32)) -> [Polygon<(i32, i32)>; 2] {
        let (corners, turn, inner) = self.shape;
        let polygon = |radius: f64, color: RGBColor| {
            let corner = |number: usize| {
                let angle = TAU * (number as f64 / corners as f64 + turn - 0.25);
                let distance = f64::from(SCALE) * if number.is_multiple_of(2) { radius } else { radius * inner };
                (x + (distance * angle.cos()).round() as i32, y + (distance * angle.sin()).round() as i32)
            };
            Polygon::new((0..corners).map(corner).collect::<Vec<_>>(), color.filled())
        };
        [polygon(7.0, PAPER), polygon(5.5, self.color)]
    }
}

pub fn look(pool: &str) -> &'static Look {
    LOOKS.iter().find(|(name, _)| *name == pool).map_or(&OTHER, |(_, look)| look)
}

const fn plain(color: RGBColor, dark: RGBColor, shape: (usize, f64, f64)) -> Look {
    Look { color, dark, shape, dashes: None }
}

const CIRCLE: (usize, f64, f64) = (24, 0.0, 1.0);
const SQUARE: (usize, f64, f64) = (4, 0.125, 1.0);
const DIAMOND: (usize, f64, f64) = (4, 0.0, 1.0);
const UP: (usize, f64, f64) = (3, 0.0, 1.0);
const DOWN: (usize, f64, f64) = (3, 0.5, 1.0);
const STAR: (usize, f64, f64) = (10, 0.0, 0.45);
const CROSS: (usize, f64, f64) = (8, 0.125, 0.35);

const LOOKS: &[(&str, Look)] = &[
    (US, plain(RGBColor(0xc2, 0x18, 0x1f), RGBColor(0xff, 0x7b, 0x72), CIRCLE)),
    ("r2d2", plain(RGBColor(0x0a, 0x4f, 0xae), RGBColor(0x58, 0xa6, 0xff), SQUARE)),
    (
        "r2d2_unchecked",
        Look { dashes: Some((7, 4)), ..plain(RGBColor(0x3c, 0x85, 0xd6), RGBColor(0xa5, 0xd6, 0xff), DIAMOND) },
    ),
    ("deadpool", plain(RGBColor(0x1a, 0x7f, 0x37), RGBColor(0x3f, 0xb9, 0x50), UP)),
    ("bb8", plain(RGBColor(0x82, 0x50, 0xdf), RGBColor(0xbc, 0x8c, 0xff), DOWN)),
    ("hikaricp", plain(RGBColor(0xa8, 0x65, 0x00), RGBColor(0xe3, 0xb3, 0x41), STAR)),
    ("sqlx", plain(RGBColor(0x85, 0x5a, 0x32), RGBColor(0xd0, 0xa8, 0x7c), DOWN)),
    ("mysql_pool", plain(RGBColor(0x0f, 0x7d, 0x76), RGBColor(0x39, 0xc5, 0xbb), UP)),
];

/// A connection of one's own is no pool.
const OTHER: Look =
    Look { dashes: Some((2, 4)), ..plain(RGBColor(0x63, 0x6e, 0x7b), RGBColor(0x8b, 0x94, 0x9f), CROSS) };

pub const US: &str = "cabrank";

pub const PAPER: RGBColor = RGBColor(0xff, 0xff, 0xff);
pub const SHADE: RGBColor = RGBColor(0xf0, 0xf2, 0xf5);
pub const GRID: RGBColor = RGBColor(0xd8, 0xde, 0xe4);
pub const MUTED: RGBColor = RGBColor(0x59, 0x63, 0x6e);
pub const INK: RGBColor = RGBColor(0x1f, 0x23, 0x28);
const IN_THE_DARK: [(RGBColor, RGBColor); 5] = [
    (PAPER, RGBColor(0x0d, 0x11, 0x17)),
    (SHADE, RGBColor(0x1b, 0x22, 0x2c)),
    (GRID, RGBColor(0x2f, 0x37, 0x42)),
    (MUTED, RGBColor(0x9a, 0xa3, 0xad)),
    (INK, RGBColor(0xf0, 0xf6, 0xfc)),
];

/// Selects by the attributes that plotters writes.
pub fn style_sheet() -> String {
    let hex = |RGBColor(red, green, blue): RGBColor| format!("#{red:02X}{green:02X}{blue:02X}");
    let looks = || LOOKS.iter().map(|(_, look)| look).chain([&OTHER]);
    let mut sheet = "<style>\ntext { font-family: system-ui, \"Segoe UI\", Helvetica, Arial, sans-serif }\n".to_owned();
    sheet += "polyline { stroke-linejoin: round }\n";
    for look in looks() {
        if let Some((drawn, left_out)) = look.dashes {
            let line = format!("polyline[stroke=\"{}\"][stroke-width=\"{}\"]", hex(look.color), 2 * SCALE);
            let _ = writeln!(sheet, "{line} {{ stroke-dasharray: {} {} }}", drawn * SCALE, left_out * SCALE);
        }
    }
    sheet += "@media (prefers-color-scheme: dark) {\n";
    for (light, dark) in IN_THE_DARK.into_iter().chain(looks().map(|look| (look.color, look.dark))) {
        let (light, dark) = (hex(light), hex(dark));
        let _ = writeln!(sheet, "[fill=\"{light}\"] {{ fill: {dark} }} [stroke=\"{light}\"] {{ stroke: {dark} }}");
    }
    sheet + "}\n</style>\n"
}

/// Units in a pixel: plotters rounds to whole units.
pub const SCALE: i32 = 10;

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn pools_stand_out_from_the_paper_in_both_schemes_and_differ_from_each_other() {
        let [(paper, dark_paper), .., ink] = IN_THE_DARK;
        let looks = || LOOKS.iter().map(|(_, look)| look).chain([&OTHER]);
        for look in looks() {
            assert!(contrast(look.color, paper) >= 3.0 && contrast(look.dark, dark_paper) >= 3.0, "{:?}", look.color);
        }
        for (light, dark) in [ink, IN_THE_DARK[3]] {
            assert!(contrast(light, paper) >= 4.5 && contrast(dark, dark_paper) >= 4.5, "{light:?}");
        }
        let colors: BTreeSet<_> = looks().flat_map(|look| [look.color, look.dark]).map(|color| color.rgb()).collect();
        assert_eq!(colors.len(), 2 * (LOOKS.len() + 1));
    }

    /// As WCAG defines it.
    fn contrast(one: RGBColor, other: RGBColor) -> f64 {
        let luminance = |RGBColor(red, green, blue): RGBColor| {
            let part = |value: u8| match f64::from(value) / 255.0 {
                low if low <= 0.04045 => low / 12.92,
                high => ((high + 0.055) / 1.055).powf(2.4),
            };
            0.2126 * part(red) + 0.7152 * part(green) + 0.0722 * part(blue) + 0.05
        };
        let (one, other) = (luminance(one), luminance(other));
        one.max(other) / one.min(other)
    }
}
