//! Published files: unchanged, as editors and scripts rewrite them, and with errors.

use fastrand::Rng;

use super::case::{Case, pick};
use super::samples::SAMPLES;

/// One or more samples.
pub(super) fn samples(rng: &mut Rng) -> String {
    let mut text = pick(rng, &SAMPLES).to_owned();
    for _ in 0..rng.usize(..3) {
        text.push_str("---\n");
        text.push_str(pick(rng, &SAMPLES));
    }
    text
}

/// Changes by editors, checkouts and scripts that do not change the meaning of a file.
pub(super) fn handled(rng: &mut Rng) -> String {
    let text = samples(rng);
    in_other_hands(rng, text)
}

fn in_other_hands(rng: &mut Rng, mut text: String) -> String {
    for _ in 0..rng.usize(1..4) {
        text = match rng.u8(..9) {
            0 => text.replace('\n', "\r\n"),
            1 => format!("\u{feff}{text}"),
            2 => text.replace("---\n", "---\n\u{feff}"),
            3 => text.trim_end().to_owned(),
            4 => text.replace(":\n", ": \n"),
            5 => text.replace(": ", ":  "),
            6 => text
                .lines()
                .map(|line| if line.ends_with(':') { format!("{line} # said\n") } else { format!("{line}\n") })
                .collect(),
            7 => text.replace('\n', "\n\n"),
            _ => format!("{text}---\n{text}"),
        };
    }
    text
}

/// The shapes of published files, unchanged and rewritten.
pub(super) fn shapes(rng: &mut Rng) -> Vec<Case> {
    let files = brokkr_testbed::shapes::all("shape").into_iter().flat_map(|it| [Some(it.text), it.next]);
    let mut cases = Vec::new();
    for text in files.flatten() {
        let handled: Vec<String> = (0..3).map(|_| in_other_hands(rng, text.clone())).collect();
        cases.extend(handled.into_iter().chain([text]).map(|text| ("shapes", text.into_bytes())));
    }
    cases
}

/// Removes, adds or replaces one character.
pub(super) fn mistyped(rng: &mut Rng) -> String {
    let signs = [
        ":", " ", "\n", "-", "#", "\"", "'", "{", "}", "[", "]", ",", "&", "*", "!", "|", ">", "%", "@", "`", "\t",
        "?", "~", "0", "x", "é", "\\",
    ];
    let mut chars: Vec<char> = pick(rng, &SAMPLES).chars().collect();
    let at = rng.usize(..chars.len());
    match rng.u8(..3) {
        0 => drop(chars.remove(at)),
        1 => chars.insert(at, pick(rng, &signs).chars().next().unwrap()),
        _ => chars[at] = pick(rng, &signs).chars().next().unwrap(),
    }
    chars.into_iter().collect()
}

/// Invalid UTF-8, and characters that readers treat differently.
pub(super) fn encodings() -> Vec<Case> {
    let object = "apiVersion: v1\nkind: Thing\nmetadata: {name: a}\ndata: {a: \"b\"}\n";
    let mut cases: Vec<Vec<u8>> = [
        "\0", "\u{1}", "\u{7f}", "\u{80}", "\u{85}", "\u{a0}", "\u{2028}", "\u{2029}", "\u{feff}", "\u{fffd}",
        "\u{fffe}", "\u{ffff}", "\u{e000}", "😀",
    ]
    .iter()
    .flat_map(|c| {
        [
            object.replace('b', c),
            format!("{object}b: |\n  x{c}y\n"),
            format!("{object}# {c}\n"),
            format!("{object}c: x{c}y\n"),
        ]
    })
    .map(String::into_bytes)
    .collect();
    let utf16 = |mark: u16, swap: bool| {
        let units = std::iter::once(mark).chain(object.encode_utf16());
        units.flat_map(|unit| if swap { unit.to_be_bytes() } else { unit.to_le_bytes() }).collect::<Vec<u8>>()
    };
    cases.push(utf16(0xfeff, false));
    cases.push(utf16(0xfeff, true));
    cases.push([object.as_bytes(), b"b: \xff\n"].concat());
    cases.push([object.as_bytes(), b"b: !!binary /w==\n"].concat());
    cases.push([object.as_bytes(), b"b: !!binary AGI=\n"].concat());
    cases.into_iter().map(|file| ("encodings", file)).collect()
}
