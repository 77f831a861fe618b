//! A room uses only rooms above it in the map.

use std::path::{Path, PathBuf};

/// In the order of `src/lib.rs`.
fn rooms() -> Vec<String> {
    let map = std::fs::read_to_string("src/lib.rs").unwrap();
    map.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';')).map(str::to_owned).collect()
}

fn files(place: &Path) -> Vec<PathBuf> {
    if place.is_file() {
        return vec![place.to_owned()];
    }
    let entries = std::fs::read_dir(place).into_iter().flatten().flatten();
    entries.flat_map(|entry| files(&entry.path())).filter(|file| file.extension().is_some_and(|ending| ending == "rs")).collect()
}

/// `crate::name` anywhere in a line of code.
fn used(line: &str) -> Vec<&str> {
    let code = line.split("//").next().unwrap_or(line);
    code.match_indices("crate::")
        .map(|(at, word)| &code[at + word.len()..])
        .map(|rest| &rest[..rest.find(|letter: char| !letter.is_alphanumeric() && letter != '_').unwrap_or(rest.len())])
        .collect()
}

/// Arrows that point downwards, as `file:line: room uses other`.
fn wrong_arrows(rooms: &[String], texts: &[(String, String, String)]) -> Vec<String> {
    let position = |name: &str| rooms.iter().position(|room| room == name);
    let mut wrong = Vec::new();
    for (room, file, text) in texts {
        for (number, line) in text.lines().enumerate() {
            for other in used(line) {
                if let (Some(here), Some(there)) = (position(room), position(other))
                    && there > here
                {
                    wrong.push(format!("{file}:{}: `{room}` uses `{other}`, which stands below it", number + 1));
                }
            }
        }
    }
    wrong
}

#[test]
fn a_room_uses_only_rooms_above_it() {
    let rooms = rooms();
    let mut texts = Vec::new();
    for room in &rooms {
        let places = [PathBuf::from(format!("src/{room}.rs")), PathBuf::from(format!("src/{room}"))];
        for file in places.iter().filter(|place| place.exists()).flat_map(|place| files(place)) {
            let text = std::fs::read_to_string(&file).unwrap();
            texts.push((room.clone(), file.display().to_string(), text));
        }
    }
    assert!(texts.len() > 100, "the rooms were not found");
    let wrong = wrong_arrows(&rooms, &texts);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_check_sees_a_wrong_arrow() {
    let rooms = ["value".to_owned(), "engine".to_owned()];
    let text = |room: &str, line: &str| (room.to_owned(), "f.rs".to_owned(), line.to_owned());
    assert_eq!(wrong_arrows(&rooms, &[text("value", "use crate::engine::Run;")]).len(), 1);
    assert!(wrong_arrows(&rooms, &[text("engine", "use crate::value::Map;"), text("value", "// crate::engine")]).is_empty());
}

#[test]
fn the_map_is_short_and_names_every_room() {
    let map = std::fs::read_to_string("src/ARCHITECTURE.md").unwrap();
    assert!(map.lines().count() <= 150);
    for room in rooms() {
        assert!(map.contains(&format!("| `{room}` |")), "`{room}` is not in src/ARCHITECTURE.md");
    }
}

#[test]
fn no_room_has_a_name_that_says_nothing() {
    let empty = ["util", "utils", "common", "helpers", "manager", "core", "types", "error"];
    for file in files(Path::new("src")) {
        let name = file.file_stem().unwrap().to_string_lossy().into_owned();
        let folder = file.parent().unwrap().file_name().unwrap().to_string_lossy().into_owned();
        assert!(!empty.contains(&name.as_str()) && !empty.contains(&folder.as_str()), "{}", file.display());
    }
}
